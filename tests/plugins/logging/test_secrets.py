"""Everything is logged, by every logger; no password, no answer to a challenge and no token is to be found there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta.logger import DATA
from mta.net.next_hop import NextHop
from mta.net.oauth import CLIENT_CREDENTIALS, OAuthClient, TokenSource
from mta.net.smtp_client import ClientError, Rejected, SmtpClient
from mta.plugin import AuthPlugin, Plugin
from mta.smtp.address import Address
from tests.net.scripted_peer import Letter, Peer, ScriptedPeer
from tests.support.logged import Logged
from tests.support.token_endpoint import TokenEndpoint

USER, PASSWORD, WRONG = "alice@example.com", "correct-horse-7", "battery-staple-8"
TOKEN = "ya29.token-of-great-secrecy"
SECRETS = (PASSWORD, WRONG, TOKEN, "client-s3cret", "token-1")
RCPT = Address.parse("bob@example.com")
LOGGERS = ("warn", "adaptive", "file", "syslog", "connection_id", "transaction_id", "apache", "journald")
FILES = {
    "logging_warn.ini": "loglevel=data\n",
    "logging_connection_id.ini": "loglevel=data\n",
    "logging_transaction_id.ini": "loglevel=data\n",
    "logging_adaptive.ini": "accept=data\nreject=data\nimmediate=emerg\n",
    "logging_file.ini": "path=log/default\nloglevel=data\n[j]\npath=log/json\nformat=json\n[l]\npath=log/logfmt\nformat=logfmt\n",
    "syslog.ini": "[general]\nserver={syslog}\nloglevel=data\nmax_size=65000\n",
    "logging_journald.ini": "socket={journal}\nloglevel=data\n",
}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Backend(AuthPlugin):
    name = "backend"
    first_delay = 0.0

    def may_authenticate(self, connection: Any) -> bool:
        return True

    def password_of(self, connection: Any, user: str) -> str | None:
        return PASSWORD if user == USER else None

    def methods(self, connection: Any) -> tuple[str, ...]:
        return ("SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN")


class Sink:
    """A datagram socket, and all that it received."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.data = b""
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, 1 << 20, 1)
            except OSError:
                return
            for fd in fds:
                with open(fd, "rb") as file:
                    file.seek(0)
                    data += file.read()
            self.data += data


class House:
    """Every logger at level DATA; `outputs` is what each of them wrote, by name."""

    def __init__(self, tmp_path: Path, capfd: Any, *extra: Plugin) -> None:
        self.directory, self.capfd = tmp_path, capfd
        self.sinks = {name: Sink(tmp_path / name) for name in ("syslog", "journal")}
        paths = {name: str(tmp_path / name) for name in self.sinks}
        files = {name: text.format(**paths) if "{" in text else text for name, text in FILES.items()}
        names = [f"logging/{name}" for name in LOGGERS]
        self.logged = Logged(tmp_path, names, files, Backend(), *extra, level=DATA)

    def finish(self) -> dict[str, str]:
        """Stop everything, and read what was written."""
        assert self.logged.idle()
        self.logged.__exit__()
        outputs = {path.name: path.read_text() for path in (self.directory / "log").iterdir()}
        outputs["stdout"] = "\n".join(self.logged.lines)
        outputs["stderr"] = self.capfd.readouterr().err
        for name, sink in self.sinks.items():
            outputs[name] = sink.data.decode()
            sink.sock.close()
        return outputs


@pytest.fixture
def house(tmp_path: Path, capfd: Any) -> Iterator[House]:
    house = House(tmp_path, capfd)
    house.logged.__enter__()
    yield house


def forms(*secrets: str) -> set[str]:
    """How secrets may look: plain, in base64 at each of the three offsets, in hexadecimal."""
    found = set()
    for secret in secrets:
        found |= {secret, secret.encode().hex()}
        for offset in range(3):
            coded = base64.b64encode(b"\0" * offset + secret.encode()).decode().rstrip("=")
            found.add(coded[4 if offset else 0 : -1])
    return found


def check(outputs: dict[str, str], *more: str, proof: str = "AUTH") -> None:
    """Each logger has logged the dialogue, and none has logged what it must not."""
    for name in ("stdout", "stderr", "default", "json", "logfmt", "syslog", "journal"):
        assert proof in outputs[name], f"{name} has no {proof}"
    for name, text in outputs.items():
        for secret in forms(*SECRETS) | set(more):
            assert secret not in text, f"{name}: {secret}\n{text}"


def dialogue(house: House, *lines: str | None) -> list[str]:
    """One session of a client that sends these lines whatever it is answered; the replies. None is EHLO."""
    client = house.logged.inbound.client()
    replies = [client.ask("EHLO client.test" if line is None else line) for line in (None, *lines)]
    client.ask("QUIT")
    client.close()
    return replies


PLAIN = b64(f"\0{USER}\0{PASSWORD}")
WRONG_PLAIN = b64(f"\0{USER}\0{WRONG}")
LOGIN = (b64(USER), b64(PASSWORD))


@pytest.mark.parametrize(
    "lines",
    [
        (f"AUTH PLAIN {PLAIN}",),
        (f"auth plain {PLAIN}",),
        (f"AUTH  PLAIN   {PLAIN}",),
        (f" AUTH PLAIN {PLAIN}",),
        (f"AUTH\tPLAIN\t{PLAIN}",),
        ("AUTH PLAIN", PLAIN),
        (f"AUTH PLAIN {WRONG_PLAIN}",),
        ("AUTH PLAIN", WRONG_PLAIN),
        (f"AUTH PLAIN {PLAIN} {PLAIN}",),
        (f"AUTH PLAIN={PLAIN}",),
        (f"AUTH=PLAIN {PLAIN}",),
        (f"AUTH {PLAIN}",),
        (f"AUTH{PLAIN}",),
        (f"AUTH PLAIN:{PLAIN}", PLAIN),
        ("AUTH LOGIN", *LOGIN),
        (f"AUTH LOGIN {LOGIN[0]}", LOGIN[1]),
        ("AUTH LOGIN", b64(USER), b64(WRONG)),
        ("AUTH LOGIN", "*", *LOGIN),
        ("AUTH LOGIN", "not base64!", *LOGIN),
        (f"AUTH XOAUTH2 {b64(f'user={USER}' + chr(1) + f'auth=Bearer {TOKEN}' + chr(1) * 2)}",),
        (f"AUTH OAUTHBEARER {b64(f'n,a={USER},' + chr(1) + f'auth=Bearer {TOKEN}' + chr(1) * 2)}",),
        ("AUTH OAUTHBEARER", b64(f"auth=Bearer {TOKEN}"), "AQ=="),
        ("AUTH NONSENSE", PLAIN, PASSWORD),
        (f"AUTH PLAIN {PLAIN}", f"AUTH PLAIN {PLAIN}"),
        ("MAIL FROM:<a@example.org>", f"AUTH PLAIN {PLAIN}", PLAIN, "RSET"),
        ("AUTH GSSAPI " + PLAIN, f"{PASSWORD} {WRONG}"),
    ],
)
def test_what_a_client_sends_to_log_in(house: House, lines: tuple[str, ...]) -> None:
    dialogue(house, *lines)
    check(house.finish())


def test_answers_that_come_without_a_question(house: House) -> None:
    """A client that pipelines the dialogue, and is refused at its first line."""
    client = house.logged.inbound.client()
    client.ask("EHLO client.test")
    client.send("\r\n".join(("AUTH WHATEVER", *LOGIN, PASSWORD, "NOOP", "")).encode())
    assert [client.read()[:1] for _ in range(5)] == ["5", "5", "5", "5", "2"]
    client.close()
    outputs = house.finish()
    check(outputs)
    assert "C: NOOP" in outputs["stdout"]


def test_cram_md5(house: House) -> None:
    client = house.logged.inbound.client()
    client.ask("EHLO client.test")
    challenge = base64.b64decode(client.ask("AUTH CRAM-MD5").split()[1])
    digest = hmac.new(PASSWORD.encode(), challenge, hashlib.md5).hexdigest()
    assert client.ask(b64(f"{USER} {digest}")).startswith("235")
    client.close()
    check(house.finish(), digest, *forms(digest))


@pytest.mark.parametrize("password", [PASSWORD, WRONG])
@pytest.mark.parametrize("mechanism", ["scram-sha-256", "cram-md5", "plain", "login"])
def test_our_own_client_at_our_own_server(house: House, mechanism: str, password: str) -> None:
    """Both ends write to the same log here."""
    hop = NextHop("127.0.0.1", house.logged.inbound.port, tls="off", auth_user=USER)
    hop = replace(hop, auth_pass=password, auth_type=mechanism)
    try:
        client = connect(hop, house)
        assert client.send(RCPT, [RCPT], Letter(b"Subject: x\r\n\r\n"), chunking=True)[RCPT].code == 250
        client.quit()
    except Rejected as rejected:
        assert password == WRONG and rejected.reply.code == 535
    else:
        assert password == PASSWORD
    outputs = house.finish()
    check(outputs)
    assert len(re.findall(r"C: \*\*\*|C: AUTH \S+ \*\*\*", outputs["stdout"])) >= 2  # what both ends saw


def connect(hop: NextHop, house: House) -> SmtpClient:
    return SmtpClient.connect(
        hop, helo="here.test", connect_timeout=5, logger=house.logged.logger, uuid="U.1.1"
    )


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_access_tokens(house: House, mechanism: str) -> None:
    def session(peer: Peer) -> None:
        peer.greet(f"AUTH {mechanism}")
        peer.take(["235 2.7.0 Accepted"])

    with TokenEndpoint() as endpoint, ScriptedPeer(session) as peer:
        source = TokenSource(OAuthClient(endpoint.url, "me", "client-s3cret", CLIENT_CREDENTIALS))
        assert connect(replace(peer.hop, auth_user=USER, token=source), house).authenticated
    check(house.finish())


@pytest.mark.parametrize(
    "reply", ["500 5.5.2 what is {line}", "535-no\n535 {line}", "334 {line}", "nonsense {line}"]
)
@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_a_server_that_says_our_credentials_back(house: House, mechanism: str, reply: str) -> None:
    def session(peer: Peer) -> None:
        peer.greet(f"AUTH {mechanism.upper()}")
        for _ in range(3):
            line = peer.hear()
            if mechanism == "login" and line == "AUTH LOGIN":
                peer.say("334 VXNlcm5hbWU6")
            elif line:
                peer.say(reply.format(line=line))

    with ScriptedPeer(session) as peer, pytest.raises(ClientError) as failed:
        connect(replace(peer.hop, auth_user=USER, auth_pass=PASSWORD, auth_type=mechanism), house)
    house.logged.logger.error(str(failed.value))
    check(house.finish())


def test_what_a_plugin_logs_by_the_name_of_a_secret(tmp_path: Path, capfd: Any) -> None:
    class Careless(Plugin):
        name = "careless"

        def hook_noop(self, connection: Any, argument: str) -> None:
            self.loginfo("AUTH", connection, {"password": PASSWORD, "Token": TOKEN, "user": USER})

    house = House(tmp_path, capfd, Careless())
    house.logged.__enter__()
    dialogue(house, "NOOP")
    check(house.finish(), proof="user")


def test_the_check_would_find_them(house: House) -> None:
    """Were it to look for the wrong thing, nothing above would mean anything."""
    house.logged.logger.data(f"AUTH PLAIN {PLAIN}")
    outputs = house.finish()
    assert all(PLAIN in outputs[name] for name in ("stdout", "stderr", "json", "syslog", "journal"))
    with pytest.raises(AssertionError):
        check(outputs)
    assert os.path.exists(house.directory / "log")
