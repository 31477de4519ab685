"""STARTTLS and implicit TLS with real clients, what is forgotten, what is refused, and what happens when it goes wrong."""

from __future__ import annotations

import smtplib
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from mta.inbound import encryption
from mta.plugin import DENY, Plugin
from tests.support import needs
from tests.support.install import eventually
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.service import Client, Inbound, Local
from tests.support.tls import Authority, Site, TlsClient, trusting
from tests.support.tls_layer import TlsLayer

ENVELOPE = ("a@example.org", "b@example.com")
MESSAGE = "Subject: hello\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def site(tmp_path: Path, authority: Authority) -> Site:
    site = Site(tmp_path)
    site.main(authority.pair("mail.test", "localhost"))
    site.write("ca.pem", authority.root.cert_pem.bytes())
    return site


def logged(inbound: Inbound, *parts: str) -> list[str]:
    return [line for line in inbound.lines if all(part in line for part in parts)]


# ---- what goes right


@pytest.mark.parametrize("smtps", [False, True], ids=["STARTTLS", "implicit"])
def test_mail_comes_in_encrypted_and_says_so(site: Site, authority: Authority, smtps: bool) -> None:
    local = Local()
    with site.inbound(local, smtps=smtps) as inbound:
        context = trusting(authority)
        client = TlsClient(inbound.port, context if smtps else None)
        if not smtps:
            client.start_tls(context)
        assert client.banner.startswith("220 mx.example.test")
        assert client.envelope().startswith("354")
        client.send(MESSAGE.encode() + b".\r\n")
        assert client.read().startswith("250 ")
        assert client.ask("QUIT").startswith("221 ")
        assert client.sock.recv(1) == b""  # a proper end: without one the ssl module raises
        client.close()
        eventually(lambda: logged(inbound, "disconnect"))
    received = local.mails[0][2].decode()
    assert " with ESMTPS id " in received and "\r\n\ttls TLS_AES_" in received
    (line,) = logged(inbound, "secured:")
    assert line.startswith("[INFO] [") and "servername=mail.test" in line
    assert "cipher=TLS_AES_256_GCM_SHA384 version=TLSv1.3 verified=false" in line
    assert logged(inbound, "disconnect", "tls=Y")


def test_a_large_message_comes_through_whole(site: Site, authority: Authority) -> None:
    local = Local()
    body = b"0123456789abcdef" * 4 + b"\r\n"
    with site.inbound(local) as inbound, TlsClientOn(inbound, authority) as client:
        assert client.envelope().startswith("354")
        client.send(b"Subject: x\r\n\r\n" + body * 50_000 + b".\r\n")
        assert client.read().startswith("250 ")
    assert local.mails[0][2].endswith(b"\r\n\r\n" + body * 50_000)


def test_capabilities_before_and_after(site: Site, authority: Authority) -> None:
    with site.inbound() as inbound, TlsClientOn(inbound, authority) as client:
        assert "STARTTLS" not in client.ask("EHLO client.test")


def test_everything_said_before_is_forgotten(site: Site, authority: Authority) -> None:
    seen: list[tuple[str, bool, list[str], object]] = []

    class Looks(Plugin):
        name = "looks"

        def hook_noop(self, connection, argument):
            seen.append(
                (connection.hello.host, connection.esmtp, connection.capabilities, connection.transaction)
            )

    with site.inbound(Local(), Looks()) as inbound:
        client = TlsClient(inbound.port)
        client.ask("EHLO client.test")
        client.ask("MAIL FROM:<a@example.org>")
        client.ask("RCPT TO:<b@example.com>")
        assert client.ask("STARTTLS") == "220 2.0.0 Go ahead."
        client.handshake(trusting(authority))
        client.ask("NOOP")
        assert seen == [("", False, [], None)]
        for command in ("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.com>", "DATA"):
            assert client.ask(command).startswith("503 ")
        client.close()


def test_what_was_sent_before_the_handshake_is_thrown_away(site: Site, authority: Authority) -> None:
    local = Local()
    with site.inbound(local) as inbound:
        client = TlsClient(inbound.port)
        client.ask("EHLO client.test")
        client.send(
            b"STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.com>\r\n"
        )
        assert client.read().startswith("220 ")
        client.handshake(trusting(authority))
        assert client.ask("NOOP").startswith("250 ")
        assert client.ask("DATA").startswith("503 ")
        client.close()


def test_plugins_see_the_session(site: Site, authority: Authority) -> None:
    seen: list[object] = []

    class Looks(Plugin):
        name = "looks"

        def hook_helo(self, connection, host):
            tls = connection.tls
            seen.extend([tls.enabled, tls.version, tls.verified, tls.session.server_name])
            seen.append(tls.session.channel_binding("tls-exporter"))
            seen.append(tls.session.peer_certificate.subject.rfc4514_string())

    site.write("tls.ini", "ca=ca.pem\n")
    with site.inbound(Looks(), smtps=True) as inbound:
        leaf = authority.client("client.test")
        client = TlsClient(inbound.port, trusting(authority, leaf))
        client.ask("HELO client.test")
        client.close()
    assert seen[:4] == [True, "TLSv1.3", True, "mail.test"]
    assert len(seen[4]) == 32 and "OU=Testing cert" in seen[5]  # type: ignore[arg-type, operator]
    (line,) = logged(inbound, "secured:")
    assert "verified=true" in line and "issuer=" in line


# ---- when it is not offered


def test_it_is_not_offered_without_a_certificate(tmp_path: Path) -> None:
    with Site(tmp_path).inbound() as inbound:
        client = inbound.client()
        assert "STARTTLS" not in client.ask("EHLO client.test")
        assert client.ask("STARTTLS").startswith("500 ")
        client.close()


@pytest.mark.parametrize(
    ("ini", "offered"),
    [
        ("[no_tls_hosts]\n127.0.0.0/8\n", False),
        ("[no_tls_hosts]\n127.0.0.1=\n", False),
        ("[no_tls_hosts]\n192.0.2.0/24\nnonsense\n", True),
        ("no_starttls_ports[]={port}\n", False),
        ("no_starttls_ports[]=26\n", True),
    ],
)
def test_some_are_not_offered_it(site: Site, ini: str, offered: bool) -> None:
    class Moves(Plugin):
        """The port of a test is known too late for tls.ini."""

        name = "moves"

        def hook_connect_init(self, connection):
            connection.local.port = 25

    site.write("tls.ini", ini.replace("{port}", "25"))
    with site.inbound(Moves()) as inbound:
        client = inbound.client()
        assert ("STARTTLS" in client.ask("EHLO client.test")) is offered
        assert client.ask("STARTTLS")[:3] == ("220" if offered else "500")
        client.close()
    assert bool([line for line in site.lines if "'nonsense' is neither" in line]) is ("nonsense" in ini)


@pytest.mark.parametrize("smtps", [False, True], ids=["STARTTLS", "implicit"])
def test_inside_tls_it_is_out_of_order(site: Site, authority: Authority, smtps: bool) -> None:
    with site.inbound(smtps=smtps) as inbound:
        context = trusting(authority)
        client = TlsClient(inbound.port, context if smtps else None)
        if not smtps:
            client.start_tls(context)
        assert client.ask("STARTTLS") == "503 5.5.1 TLS is on already"
        assert client.ask("NOOP").startswith("250 ")
        client.close()


def test_refusals(site: Site) -> None:
    class LogsIn(Plugin):
        name = "logs_in"

        def hook_noop(self, connection, argument):
            connection.notes["auth_user"] = "somebody"

    with site.inbound(LogsIn()) as inbound:
        client = inbound.client()
        assert client.ask("STARTTLS").startswith("500 "), "nothing was offered yet"
        client.ask("EHLO client.test")
        assert client.ask("STARTTLS now") == "501 5.5.4 STARTTLS takes no argument"
        client.ask("NOOP")
        assert client.ask("STARTTLS") == "503 5.5.1 STARTTLS comes before AUTH"
        client.close()


def test_a_certificate_that_went_away(site: Site) -> None:
    with site.inbound() as inbound:
        client = inbound.client()
        assert "STARTTLS" in client.ask("EHLO client.test")
        inbound.service.tls = None
        assert client.ask("starttls") == "454 4.7.0 TLS not available due to temporary reason"
        assert client.ask("NOOP").startswith("250 ")
        client.close()


def test_a_client_that_was_turned_away_gets_no_tls(site: Site) -> None:
    class Denies(Plugin):
        name = "denies"

        def hook_connect(self, connection):
            return DENY

    with site.inbound(Denies()) as inbound:
        client = inbound.client()
        assert client.ask("STARTTLS") == client.banner
        client.close()


# ---- when it goes wrong


@pytest.mark.parametrize(
    "sent", [b"EHLO client.test\r\n", b"\x16\x03\x01\x00\x05hello", b"", b"\x16\x03\x01\x40"], ids=repr
)
@pytest.mark.parametrize("smtps", [False, True], ids=["STARTTLS", "implicit"])
def test_a_handshake_that_fails_ends_the_session(site: Site, sent: bytes, smtps: bool) -> None:
    with site.inbound(smtps=smtps) as inbound:
        sock = socket.create_connection(("127.0.0.1", inbound.port), timeout=10)
        if not smtps:
            sock.recv(1000)
            sock.sendall(b"EHLO client.test\r\n")
            sock.recv(1000)
            sock.sendall(b"STARTTLS\r\n")
            assert sock.recv(1000) == b"220 2.0.0 Go ahead.\r\n"
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: sock.recv(1000), b""))
        assert b"220" not in said and b"421" not in said and b"500" not in said, (
            "only an alert makes sense now"
        )
        sock.close()
        assert eventually(lambda: logged(inbound, "disconnect", "tls=N"))
        assert len(logged(inbound, "[NOTICE]", "TLS handshake failed error=")) == 1
        assert not logged(inbound, "[CRIT]")


@pytest.mark.parametrize("smtps", [False, True], ids=["STARTTLS", "implicit"])
def test_a_handshake_that_drags_on_is_cut(site: Site, smtps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "HANDSHAKE_SECONDS", 1)
    with site.inbound(smtps=smtps) as inbound:
        sock = socket.create_connection(("127.0.0.1", inbound.port), timeout=10)
        if not smtps:
            sock.recv(1000)
            sock.sendall(b"EHLO client.test\r\nSTARTTLS\r\n")
            while b"Go ahead" not in sock.recv(1000):
                pass
        start = time.monotonic()
        try:
            for byte in b"\x16\x03\x01\x02\x00\x01" + bytes(100):  # a handshake that is about to come
                sock.sendall(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() - start < 6
        sock.close()
        assert eventually(lambda: logged(inbound, "TLS handshake failed error=timeout"))


def test_without_a_certificate_implicit_tls_closes_and_says_why(tmp_path: Path) -> None:
    with Site(tmp_path).inbound(smtps=True) as inbound:
        with pytest.raises(OSError):
            TlsClient(inbound.port, trusting())
        assert eventually(lambda: logged(inbound, "TLS handshake failed", "there is no usable certificate"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_port_where_clients_need_a_certificate(
    site: Site, authority: Authority, version: ssl.TLSVersion
) -> None:
    class Moves(Plugin):
        name = "moves"

        def hook_connect_init(self, connection):
            connection.local.port = 587

    site.write("tls.ini", "ca=ca.pem\nrequireAuthorized[]=587\n")
    with site.inbound(Moves()) as inbound:
        for leaf, welcome in ((authority.client(), True), (Authority().client(), False), (None, False)):
            context = trusting(authority, leaf)
            context.maximum_version = version
            client = TlsClient(inbound.port)
            try:
                client.start_tls(context)
                said = client.ask("NOOP")
            except OSError:
                said = ""
            assert said[:3] == ("250" if welcome else "")
            client.close()
    assert len(logged(inbound, "TLS handshake failed")) == 2
    assert len(logged(inbound, "secured:", "verified=true")) == 1


@pytest.mark.parametrize("smtps", [False, True], ids=["STARTTLS", "implicit"])
def test_hosts_that_need_a_certificate_for_a_name(site: Site, authority: Authority, smtps: bool) -> None:
    site.write("tls.ini", "ca=ca.pem\n[authorized_hosts]\n127.0.0.0/8=right.test\n")
    with site.inbound(Local(), smtps=smtps) as inbound:
        for name, reply in (("right.test", "354"), ("wrong.test", "554"), ("", "")):
            context = trusting(authority, authority.client(name) if name else None)
            said = ""
            client = None
            try:
                client = TlsClient(inbound.port, context if smtps else None)
                if not smtps:
                    client.start_tls(context)
                said = client.envelope()
            except OSError:
                pass
            assert said[:3] == reply
            if client is not None:
                client.close()
    assert len(logged(inbound, "TLS handshake failed")) == 1
    assert len(logged(inbound, "has none of the names")) == 1


@pytest.mark.parametrize(("exclude", "code"), [("", "530"), ("127.0.0.1\n", "250")])
def test_such_hosts_send_no_mail_in_clear(site: Site, exclude: str, code: str) -> None:
    ini = f"[authorized_hosts]\n127.0.0.0/8\n[authorized_hosts_exclude]\n{exclude}"
    site.write("tls.ini", ini)
    with site.inbound(Local()) as inbound:
        client = inbound.client()
        client.ask("EHLO client.test")
        said = client.ask("MAIL FROM:<a@example.org>")
        assert said[:3] == code
        assert code != "530" or said == "530 5.7.0 Must issue a STARTTLS command first"
        client.close()


def test_behind_a_load_balancer_the_handshake_may_come_with_the_header(
    site: Site, authority: Authority
) -> None:
    with site.inbound(smtps=True, haproxy_hosts=("127.0.0.1",)) as inbound:
        layer = TlsLayer(trusting(authority), server_side=False, server_hostname="mail.test")
        sock = socket.create_connection(("127.0.0.1", inbound.port), timeout=10)
        header = b"PROXY TCP4 203.0.113.9 203.0.113.1 4711 465\r\n"
        while not layer.handshake():
            sock.sendall(header + layer.outgoing())
            layer.feed(sock.recv(65536))
            header = b""
        sock.sendall(layer.outgoing())
        while not (banner := layer.read(1000)):
            layer.feed(sock.recv(65536))
        assert banner.startswith(b"220 mx.example.test")
        sock.close()
        assert eventually(lambda: logged(inbound, "disconnect", "ip=203.0.113.9", "early=N", "tls=Y"))


# ---- real clients


@pytest.mark.parametrize("smtps", [False, True], ids=["starttls", "SMTP_SSL"])
def test_smtplib(site: Site, authority: Authority, smtps: bool) -> None:
    local = Local()
    with site.inbound(local, smtps=smtps) as inbound:
        context = trusting(authority)
        client = (
            smtplib.SMTP_SSL("localhost", inbound.port, context=context)
            if smtps
            else smtplib.SMTP("localhost", inbound.port)
        )
        with client:
            if not smtps:
                assert client.starttls(context=context)[0] == 220
            assert client.sendmail(ENVELOPE[0], [ENVELOPE[1]], MESSAGE) == {}
    assert len(local.mails) == 1


@pytest.mark.parametrize("smtps", [False, True], ids=["-tls", "-tlsc"])
def test_swaks(site: Site, smtps: bool) -> None:
    swaks = needs.program("swaks", "swaks libnet-ssleay-perl")
    local = Local()
    with site.inbound(local, smtps=smtps) as inbound:
        mode = "-tlsc" if smtps else "-tls"
        done = subprocess.run(
            [swaks, "--server", f"127.0.0.1:{inbound.port}", "-f", ENVELOPE[0], "-t", ENVELOPE[1], mode],
            capture_output=True,
            text=True,
            timeout=30,
        )
    if "requires Net::SSLeay" in done.stdout + done.stderr:
        needs.missing("Net::SSLeay", "apt-get install libnet-ssleay-perl")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TLS started with cipher TLSv1.3" in done.stdout and len(local.mails) == 1


@pytest.mark.parametrize("smtps", [False, True], ids=["-starttls", "plain s_client"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client_resumes(site: Site, tmp_path: Path, smtps: bool, version: str) -> None:
    openssl = needs.program("openssl", "openssl")
    session = tmp_path / "session"

    def talk(port: int, *options: str) -> str:
        command = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "mail.test", version]
        command += ["-crlf", "-CAfile", str(site.install.path("ca.pem"))]
        command += [] if smtps else ["-starttls", "smtp"]
        process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdin is not None
        for line in (b"EHLO client.test\n", b"QUIT\n"):
            time.sleep(0.3)
            process.stdin.write(line)
            process.stdin.flush()
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0, out
        return out.decode()

    with site.inbound(smtps=smtps) as inbound:
        first = talk(inbound.port, "-sess_out", str(session))
        again = talk(inbound.port, "-sess_in", str(session))
    assert "Verification: OK" in first and "New, TLSv1" in first
    assert "250-mx.example.test Hello" in first
    assert "Reused, TLSv1" in again


def test_implicit_tls_needs_no_plugin(site: Site, authority: Authority) -> None:
    with site.inbound(smtps=True, plugin=False) as inbound:
        client = TlsClient(inbound.port, trusting(authority))
        assert client.ask("EHLO client.test").startswith("250")
        client.close()


# ---- the real process


def server_config(site: Site, smtps: int) -> dict[str, str | bytes]:
    return {
        "smtp.ini": f"listen=127.0.0.1:{{port}},127.0.0.1:{smtps}\nsmtps_port=465,{smtps}\n",
        "me": "mail.test\n",
        "plugins": "tls\n",
        "log.ini": "level=info\n",
        **{name: site.install.path(name).read_bytes() for name in ("tls_key.pem", "tls_cert.pem")},
    }


def test_the_server_offers_both_and_takes_new_certificates(
    site: Site, authority: Authority, tmp_path: Path
) -> None:
    smtps = free_port()
    with Server(tmp_path / "install", server_config(site, smtps)) as server:
        TlsClient(server.port).start_tls(trusting(authority))
        assert TlsClient(smtps, trusting(authority)).banner.startswith("220 mail.test ")
        key, chain = authority.pair("renewed.test")
        (server.directory / "config" / "tls_key.pem").write_bytes(key)
        (server.directory / "config" / "tls_cert.pem").write_bytes(chain)
        assert eventually(lambda: "certificates read again names=renewed.test" in server.log)
        TlsClient(smtps, trusting(authority), "renewed.test").close()
        assert server.stop() == 0


def test_the_server_says_when_there_is_no_certificate(site: Site, tmp_path: Path) -> None:
    config = server_config(site, free_port())
    del config["tls_key.pem"], config["tls_cert.pem"]
    with Server(tmp_path / "install", config) as server:
        said = "no usable certificate, so no TLS; haraka tls self-signed -c"
        assert eventually(lambda: said in server.log)


class TlsClientOn:
    """A client that has done STARTTLS and EHLO."""

    def __init__(self, inbound: Inbound, authority: Authority) -> None:
        self._client = TlsClient(inbound.port)
        self._client.start_tls(trusting(authority))

    def __enter__(self) -> Client:
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()


# ---- clients that can not do it


def broken_starttls(port: int) -> None:
    """Ask for STARTTLS, and send no handshake."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.recv(1000)
        sock.sendall(b"EHLO client.test\r\nSTARTTLS\r\n")
        while b"Go ahead" not in sock.recv(1000):
            pass
        sock.sendall(b"this is none\r\n")
        sock.recv(1000)


@pytest.mark.parametrize("remembered", [False, True])
def test_a_client_whose_handshake_failed_is_not_offered_it_again(site: Site, remembered: bool) -> None:
    site.write(
        "tls.ini", f"[redis]\ndisable_for_failed_hosts={str(remembered).lower()}\nport={free_port()}\n"
    )
    with site.inbound() as inbound:
        assert "STARTTLS" in Client(inbound.port).ask("EHLO client.test")
        broken_starttls(inbound.port)
        assert eventually(lambda: logged(inbound, "TLS handshake failed"))
        assert ("STARTTLS" in Client(inbound.port).ask("EHLO client.test")) is not remembered


class Submission(Plugin):
    """Every client comes to port 587."""

    def hook_connect_init(self, connection):
        connection.local.port = 587


def test_on_port_587_it_is(site: Site) -> None:
    site.write("tls.ini", f"[redis]\ndisable_for_failed_hosts=true\nport={free_port()}\n")
    with site.inbound(Submission()) as inbound:
        broken_starttls(inbound.port)
        assert eventually(lambda: logged(inbound, "TLS handshake failed"))
        assert "STARTTLS" in Client(inbound.port).ask("EHLO client.test")
