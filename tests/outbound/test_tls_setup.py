"""tls.ini [outbound] and outbound.ini [security] as they become policies, and follow changes."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from mta.config.schema import OutboundSettings, SecuritySettings
from mta.logger import INFO, Logger
from mta.net.dns import Resolver
from mta.net.next_hop import NextHop
from mta.net.smtp_client import SmtpClient, TlsFailed
from mta.outbound.tls_policy import TlsPolicies
from mta.outbound.tls_setup import open_policies, tell_of_dane
from tests.support.install import Install, eventually
from tests.support.outbound import hmail_for
from tests.support.tls_mx import TlsMx, server_context

CA = trustme.CA()


class House:
    """An installation whose outbound TLS is set up."""

    def __init__(self, directory: Path) -> None:
        self.install = Install(directory)
        self.lines: list[str] = []
        self.logger = Logger(INFO, write=self.lines.append)
        self.logger.plugins_ready(None)

    def pem(self, name: str, *blobs: trustme.Blob) -> None:
        self.install.write(name, b"".join(blob.bytes() for blob in blobs))

    def pairs(self) -> None:
        """Certificates: main.test of [main], own.test in own.pem, a.test and b.test in the directory tls."""
        leaves = {name: CA.issue_cert(name) for name in ("main.test", "own.test", "a.test", "b.test")}
        main, own = leaves.pop("main.test"), leaves.pop("own.test")
        self.pem("tls_key.pem", main.private_key_pem)
        self.pem("tls_cert.pem", *main.cert_chain_pems)
        self.pem("own.pem", own.private_key_pem, *own.cert_chain_pems)
        for name, leaf in leaves.items():
            self.pem(f"tls/{name}.pem", leaf.private_key_pem, *leaf.cert_chain_pems)

    def open(self, resolver: Resolver | None = None) -> TlsPolicies:
        state = self.install.directory / "queue.state"
        resolver = resolver or Resolver(["127.0.0.1"])
        return open_policies(self.install.config, resolver, self.logger, SecuritySettings(), state)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def connect(policies: TlsPolicies, mx: TlsMx, **hop: object) -> SmtpClient:
    there = NextHop("127.0.0.1", mx.port, from_dns="mx.test", **hop)  # type: ignore[arg-type]
    mail = hmail_for(["joe@there.test"], b"x", domain="there.test")
    return SmtpClient.connect(policies.for_chosen(mail, there), helo="here.test", connect_timeout=5)


def asking_mx() -> TlsMx:
    """A next hop, called mx.test, that asks for a certificate and does not insist."""
    context = server_context(CA.issue_cert("mx.test"))
    context.verify_mode = ssl.CERT_OPTIONAL
    CA.configure_trust(context)
    return TlsMx(context)


def shown(mx: TlsMx) -> list[str]:
    """The names in the certificates that it was shown, by session; "" for none."""
    return [", ".join(name for _, name in seen.get("subjectAltName", ())) for seen in mx.clients]


def test_without_settings(house: House) -> None:
    with TlsMx(server_context(CA.issue_cert("mx.test"))) as mx:
        client = connect(house.open(), mx)
    assert (client.secured, client.tls.verified) == (True, False)
    assert house.lines == []


def test_whom_we_trust(house: House) -> None:
    house.pem("ca.pem", CA.cert_pem)
    house.install.write("tls.ini", "[outbound]\nca=ca.pem\nforce_tls_hosts[]=there.test\n")
    policies = house.open()
    with TlsMx(server_context(CA.issue_cert("mx.test"))) as mx:
        assert connect(policies, mx).tls.by == "pkix"
    with (
        TlsMx(server_context(CA.issue_cert("x.test"))) as mx,
        pytest.raises(TlsFailed, match="Host failed TLS verification required by configuration"),
    ):
        connect(policies, mx)


@pytest.mark.parametrize(
    ("ini", "name"),
    [
        ("", ""),  # as in Haraka 3, nobody is shown the server's own certificate
        ("mutual_tls=true\n", "main.test"),  # and [main] counts where [outbound] says nothing
        ("[outbound]\nkey=own.pem\ncert=own.pem\n", "own.test"),
        ("mutual_tls=true\n[outbound]\nkey=own.pem\ncert=own.pem\n", "own.test"),
        ("mutual_tls=true\n[mutual_auth_hosts_exclude]\nMX.test\n", ""),
        ("[outbound]\nkey=own.pem\ncert=own.pem\n[mutual_auth_hosts_exclude]\n127.0.0.0/8\n", ""),
        ("[mutual_auth_hosts]\nmx.test=a.test\n", "a.test"),
        ("[mutual_auth_hosts]\n127.0.0.1=A.test\n", "a.test"),
        ("[mutual_auth_hosts]\n127.0.0.0/8=a.test\n127.0.0.0/24=b.test\n10.0.0.0/8=main.test\n", "b.test"),
        ("[mutual_auth_hosts]\n127.0.0.1=a.test\nmx.test=b.test\n", "b.test"),
        ("[mutual_auth_hosts]\nmx.test=main.test\n", "main.test"),
        ("[mutual_auth_hosts]\nmx.test=\n", "main.test"),
        ("[mutual_auth_hosts]\nother.test=a.test\n", ""),
        ("[mutual_auth_hosts]\nmx.test=a.test\n[mutual_auth_hosts_exclude]\nmx.test\n", "a.test"),
        ("mutual_tls=true\n[mutual_auth_hosts]\nmx.test=a.test\n", "a.test"),
    ],
)
def test_our_certificate(house: House, ini: str, name: str) -> None:
    house.pairs()
    house.install.write("tls.ini", ini)
    with asking_mx() as mx:
        assert connect(house.open(), mx).secured
        assert shown(mx) == [name]
    assert house.lines == []


def test_connections_with_different_certificates_are_kept_apart(house: House) -> None:
    house.pairs()
    house.install.write("tls.ini", "[mutual_auth_hosts]\na1.test=a.test\na2.test=a.test\nb.test=b.test\n")
    policies = house.open()
    mail = hmail_for(["joe@there.test"], b"x", domain="there.test")
    hops = [NextHop("127.0.0.1", from_dns=name) for name in ("a1.test", "a2.test", "b.test", "c.test")]
    securities = [policies.for_chosen(mail, hop).security for hop in hops]
    a1, a2, b, c = (security.client for security in securities if security is not None)
    assert a1 is a2, "one certificate, one context"
    assert len({a1, b, c}) == 3
    keys = {policies.for_chosen(mail, replace(hop, from_dns="x.test")).pool_key for hop in hops}
    assert len(keys) == 1
    assert securities[0] != securities[2], "the pool knows them apart"


@pytest.mark.parametrize(
    ("ini", "complaint"),
    [
        ("[mutual_auth_hosts]\nmx.test=c.test\n", "tls.ini:2: [mutual_auth_hosts] mx.test: there is no key"),
        ("mutual_tls=true\nkey=x.pem\ncert=x.pem\n", "tls.ini:1: [main] mutual_tls: there is no key and"),
        (
            "key=x.pem\n[mutual_auth_hosts]\nmx.test=\n",
            "tls.ini:3: [mutual_auth_hosts] mx.test: there is no key",
        ),
    ],
)
def test_a_certificate_that_is_not_there(house: House, ini: str, complaint: str) -> None:
    house.pairs()
    house.install.write("tls.ini", ini)
    policies = house.open()
    (line,) = house.lines
    assert line.startswith("[ERROR]") and complaint in line
    with asking_mx() as mx:
        assert connect(policies, mx).secured
        assert shown(mx) == [""]


def test_a_certificate_that_goes_away_and_one_that_comes(house: House) -> None:
    house.pairs()
    house.install.write("tls.ini", "[mutual_auth_hosts]\nmx.test=a.test\n")
    policies = house.open()
    house.install.config.watch()
    with asking_mx() as mx:
        (house.install.config.directory / "tls" / "a.test.pem").unlink()
        assert eventually(lambda: any("goes on as it was" in line for line in house.lines))
        connect(policies, mx)
        before = policies.clients
        renewed = CA.issue_cert("a.test", "new.test")
        house.pem("tls/new.pem", renewed.private_key_pem, *renewed.cert_chain_pems)
        assert eventually(lambda: policies.clients is not before)
        connect(policies, mx)
        assert shown(mx) == ["a.test", "a.test, new.test"]
    house.install.config.close()


@pytest.mark.parametrize(
    ("ini", "complaint"),
    [
        ("ca=missing.pem", "there is no file missing.pem"),
        ("key=missing.pem\ncert=missing.pem", "there is no key and certificate in missing.pem, missing.pem"),
        ("ciphers=NONSENSE", "no cipher match"),
        ("ca=../outside.pem", "outside"),
    ],
)
def test_what_can_not_be_used_is_said_and_costs_no_mail(house: House, ini: str, complaint: str) -> None:
    house.install.write("tls.ini", f"[outbound]\n{ini}\n")
    policies = house.open()
    (line,) = house.lines
    assert line.startswith("[ERROR]") and "tls.ini:" in line and "[outbound] " in line and complaint in line
    with TlsMx(server_context(CA.issue_cert("mx.test"))) as mx:
        assert connect(policies, mx).secured


def test_the_oldest_version(house: House, tmp_path: Path) -> None:
    house.install.write("tls.ini", "[main]\nminVersion=TLSv1.3\n")
    context = server_context(CA.issue_cert("mx.test"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with TlsMx(context) as mx:
        assert not connect(house.open(), mx).secured
    (tmp_path / "again").mkdir()
    again = House(tmp_path / "again")
    again.install.write("tls.ini", "[main]\nminVersion=TLSv1.3\n[outbound]\nminVersion=TLSv1.2\n")
    with TlsMx(context) as mx:
        assert connect(again.open(), mx).secured


def test_lists_follow_changes(house: House) -> None:
    house.install.write("tls.ini", "[main]\nforce_tls_hosts[]=a.test\n")
    policies = house.open()
    house.install.config.watch()
    assert policies.rules.forced.entries == ("a.test",)
    before = policies.clients
    house.install.write("tls.ini", "[outbound]\nforce_tls_hosts[]=B.test\nforce_tls_hosts[]=192.0.2.0/24\n")
    assert eventually(lambda: policies.rules.forced.entries == ("b.test", "192.0.2.0/24"))
    assert policies.clients is not before
    house.install.config.close()


def test_dane_without_a_name_server_to_believe_is_said(house: House) -> None:
    policies = house.open(Resolver(["192.0.2.1"]))
    assert not policies.heeds_dane
    tell_of_dane(policies, house.logger)
    assert "DANE is not heeded" in house.lines[0]


def test_the_defaults() -> None:
    security = OutboundSettings().security
    assert (security.mta_sts, security.dane, security.dns_trusted) == (True, "ad", False)


@pytest.mark.parametrize(
    ("ini", "by"), [("ca=\n", "pkix"), ("ca=missing.pem\n", "none"), ("ca=tls.ini\n", "none")]
)
def test_authorities_that_can_not_be_read_are_not_replaced_by_those_of_the_system(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ini: str, by: str
) -> None:
    house.pem("system.pem", CA.cert_pem)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_FILE", str(house.install.config.directory / "system.pem"))
    house.install.write("tls.ini", f"[outbound]\n{ini}")
    with TlsMx(server_context(CA.issue_cert("mx.test"))) as mx:
        assert connect(house.open(), mx).tls.by == by
    assert bool(house.lines) == (by == "none")
