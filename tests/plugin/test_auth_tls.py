"""AUTH over TLS: offered to everybody there, bound to the session by SCRAM-SHA-256-PLUS, and used by real clients."""

from __future__ import annotations

import base64
import hashlib
import smtplib
import subprocess

import pytest
from scramp import ScramClient

from mta.plugin import AuthPlugin, Plugin
from mta.smtp import sasl
from tests.support.needs import program
from tests.support.service import Local
from tests.support.tls import Authority, Site, TlsClient, trusting

USER, PASSWORD = "alice@example.com", "secret"
PLUS = "SCRAM-SHA-256-PLUS"


class Backend(AuthPlugin):
    name = "backend"
    first_delay = 0.0

    def password_of(self, connection, user):
        return PASSWORD if user == USER else None

    def methods(self, connection):
        return [*super().methods(connection), PLUS]


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def inbound(tmp_path, authority):
    site = Site(tmp_path)
    site.main(authority.pair("mail.test", "localhost"))
    with site.inbound(Backend(), Local()) as running:
        yield running


@pytest.fixture
def client(inbound, authority):
    client = TlsClient(inbound.port)
    client.start_tls(trusting(authority))
    yield client
    client.close()


def b64(text):
    return base64.b64encode(text.encode()).decode()


def unb64(reply):
    return base64.b64decode(reply.removeprefix("334 ")).decode()


def end_point(client):
    return hashlib.sha256(client.sock.getpeercert(True)).digest()  # RFC 5929 4.1: the hash of its signature


def scram(client, mechanisms, binding, name):
    them = ScramClient(mechanisms, USER, PASSWORD, channel_binding=binding)
    reply = client.ask(f"AUTH {name} {b64(them.get_client_first())}")
    if not reply.startswith("334"):
        return reply
    them.set_server_first(unb64(reply))
    reply = client.ask(b64(them.get_client_final()))
    if not reply.startswith("334"):
        return reply
    them.set_server_final(unb64(reply))
    return client.ask("")


def test_auth_is_offered_behind_starttls_only(inbound, client):
    assert client.ask("EHLO client.test").endswith(f"AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 {PLUS}")
    assert client.ask("AUTH PLAIN " + sasl.plain(USER, PASSWORD)).startswith("235 ")
    clear = inbound.client()
    assert "AUTH" not in clear.ask("EHLO client.test")
    assert clear.ask("AUTH PLAIN " + sasl.plain(USER, PASSWORD)).startswith("538 5.7.11")
    clear.close()


def test_ehlo_is_needed_again_after_starttls(client):
    assert client.ask("AUTH PLAIN " + sasl.plain(USER, PASSWORD)).startswith("503 5.5.1 Use EHLO")


def test_starttls_does_not_come_after_auth(client):
    client.ask("EHLO client.test")
    client.ask("AUTH PLAIN " + sasl.plain(USER, PASSWORD))
    assert client.ask("STARTTLS").startswith("503 ")


def test_channel_binding(client):
    client.ask("EHLO client.test")
    binding = ("tls-server-end-point", end_point(client))
    assert scram(client, [PLUS], binding, PLUS).startswith("235 ")


def test_a_session_with_somebody_in_the_middle_is_noticed(client):
    client.ask("EHLO client.test")
    binding = ("tls-server-end-point", hashlib.sha256(b"the certificate of a stranger").digest())
    assert scram(client, [PLUS], binding, PLUS).startswith("535 5.7.8")


def test_a_client_that_was_told_there_is_no_binding_is_refused(client):
    client.ask("EHLO client.test")
    binding = ("tls-server-end-point", end_point(client))
    first = ScramClient(["SCRAM-SHA-256"], USER, PASSWORD, channel_binding=binding).get_client_first()
    assert first.startswith("y,")
    assert client.ask(f"AUTH SCRAM-SHA-256 {b64(first)}")[0] == "5"


def test_without_binding_on_a_session_that_has_it(client):
    client.ask("EHLO client.test")
    assert scram(client, ["SCRAM-SHA-256"], None, "SCRAM-SHA-256").startswith("235 ")


@pytest.mark.parametrize("kind", ["tls-exporter", "tls-unique", "nonsense"])
def test_another_binding_is_refused(client, kind):
    client.ask("EHLO client.test")
    assert client.ask(f"AUTH {PLUS} {b64(f'p={kind},,n={USER},r=nonce')}")[0] == "5"
    assert client.ask("NOOP").startswith("250 ")


def test_smtplib(inbound, authority):
    with smtplib.SMTP("127.0.0.1", inbound.port, local_hostname="client.test", timeout=10) as client:
        client._host = "mail.test"
        client.starttls(context=trusting(authority))
        assert client.login(USER, PASSWORD)[0] == 235
        assert client.sendmail(USER, ["bob@elsewhere.example"], "Subject: x\n\nx\n") == {}


@pytest.mark.parametrize("name", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks(inbound, name):
    command = [
        program("swaks", "swaks"),
        "--server",
        f"127.0.0.1:{inbound.port}",
        "--helo",
        "client.test",
        "--tls",
    ]
    command += ["--from", USER, "--to", "b@elsewhere.example", "--auth", name]
    command += ["--auth-user", USER, "--auth-password", PASSWORD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


class Keeps(Plugin):
    """Sees what is about to be sent on."""

    name = "keeps"

    def __init__(self):
        self.seen = []

    def hook_queue_outbound(self, connection):
        self.seen.append(b"".join(connection.transaction.message_stream.chunks()))


def test_the_trace_field_says_esmtpsa(tmp_path, authority):
    site = Site(tmp_path)
    site.main(authority.pair("mail.test"))
    keeps = Keeps()
    with site.inbound(Backend(), keeps) as inbound:
        client = TlsClient(inbound.port)
        client.start_tls(trusting(authority))
        client.ask("EHLO client.test")
        client.ask("AUTH PLAIN " + sasl.plain(USER, PASSWORD))
        client.ask(f"MAIL FROM:<{USER}>")
        client.ask("RCPT TO:<b@elsewhere.example>")
        client.ask("DATA")
        assert client.ask("Subject: x\r\n\r\nx\r\n.").startswith("250 ")
        client.close()
    [mail] = keeps.seen
    assert b" with ESMTPSA id " in mail and b"tls TLS_" in mail and b" (authenticated bits=0);" in mail
