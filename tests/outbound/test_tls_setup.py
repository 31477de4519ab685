"""tls.ini [outbound] and outbound.ini [security] as they become policies, and follow changes."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from mta.config.schema import OutboundSettings, SecuritySettings
from mta.logger import INFO, Logger
from mta.net.dns import Resolver
from mta.net.next_hop import NextHop
from mta.net.smtp_client import SmtpClient, TlsFailed
from mta.outbound.tls_policy import TlsPolicies
from mta.outbound.tls_setup import open_policies
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
        ("", "main.test"),  # as in Haraka, [main] counts where [outbound] says nothing
        ("[outbound]\nkey=own.pem\ncert=own.pem\n", "own.test"),
    ],
)
def test_our_certificate(house: House, ini: str, name: str) -> None:
    main, own = CA.issue_cert("main.test"), CA.issue_cert("own.test")
    house.pem("tls_key.pem", main.private_key_pem)
    house.pem("tls_cert.pem", *main.cert_chain_pems)
    house.pem("own.pem", own.private_key_pem, *own.cert_chain_pems)
    house.install.write("tls.ini", ini)
    context = server_context(CA.issue_cert("mx.test"))
    context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(context)
    with TlsMx(context) as mx:
        assert connect(house.open(), mx).secured
        assert mx.clients[0]["subjectAltName"] == (("DNS", name),)


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
    before = policies.client
    house.install.write("tls.ini", "[outbound]\nforce_tls_hosts[]=B.test\nforce_tls_hosts[]=192.0.2.0/24\n")
    assert eventually(lambda: policies.rules.forced.entries == ("b.test", "192.0.2.0/24"))
    assert policies.client is not before
    house.install.config.close()


def test_dane_without_a_name_server_to_believe_is_said(house: House) -> None:
    assert not house.open(Resolver(["192.0.2.1"])).heeds_dane
    assert "DANE is not heeded" in house.lines[0]


def test_the_defaults() -> None:
    security = OutboundSettings().security
    assert (security.mta_sts, security.dane, security.dns_trusted) == (True, "ad", False)
