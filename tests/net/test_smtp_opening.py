"""STARTTLS and AUTH with next hops, honest and hostile."""

from __future__ import annotations

import base64
import hmac
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from mta.logger import DATA, Logger
from mta.net.connect import connect as connect_wire
from mta.net.next_hop import NextHop
from mta.net.smtp_client import ConnectionLost, MalformedReply, Rejected, SmtpClient, Timeouts, TlsFailed
from mta.net.smtp_dialogue import Dialogue
from mta.net.smtp_opening import Opening
from mta.smtp.address import Address
from tests.net.scripted_peer import Letter, Peer, ScriptedPeer

RCPT = Address.parse("ann@there.test")
PASSWORD = "s3cret/pass"


class Authority:
    """A certificate authority and a server certificate for mx.test."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.cafile = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.cafile)
        self.server = self._server(authority.issue_cert("mx.test"))
        self.stranger = self._server(trustme.CA().issue_cert("mx.test"))

    def _server(self, certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def connect(hop: NextHop, **more: Any) -> SmtpClient:
    return SmtpClient.connect(hop, helo="here.test", connect_timeout=5, **more)


def named(peer: ScriptedPeer, **changes: Any) -> NextHop:
    return replace(peer.hop, from_dns="mx.test", **changes)


def take_mail(peer: Peer) -> bytes:
    """Take one message, pipelined or not; returns it."""
    for answer in ("250 ok", "250 ok", "354 go"):
        peer.hear()
        peer.say(answer)
    data = peer.until(b"\r\n.\r\n")
    peer.say("250 taken")
    return data


def secure(
    context: ssl.SSLContext, *extensions: str, heard: list[str] | None = None
) -> Callable[[Peer], None]:
    """A session that does STARTTLS and then takes one message."""

    def session(peer: Peer) -> None:
        peer.greet("STARTTLS", "X-CLEAR")
        assert peer.hear() == "STARTTLS"
        peer.say("220 go")
        peer.start_tls(context)
        line = peer.hello("X-SECURED", *extensions)
        if heard is not None:
            heard.append(line)
        take_mail(peer)

    return session


def clear(peer: Peer) -> None:
    peer.greet("STARTTLS")
    take_mail(peer)


# -- STARTTLS


@pytest.mark.parametrize("policy", ["opportunistic", "required"])
def test_starttls_and_a_fresh_ehlo(tls: Authority, policy: str) -> None:
    heard: list[str] = []
    with ScriptedPeer(secure(tls.server, heard=heard)) as peer:
        client = connect(named(peer, tls=policy), cafile=tls.cafile)
        assert client.secured and client.host == "mx.test"
        assert client.extensions == {"X-SECURED": ""}
        assert client.send(RCPT, [RCPT], Letter(b"x" * 100_000))[RCPT].code == 250
    assert heard == ["EHLO here.test"]


def test_opportunistic_takes_any_certificate(tls: Authority) -> None:
    with ScriptedPeer(secure(tls.stranger)) as peer:
        assert connect(replace(peer.hop, from_dns="other.test")).secured


@pytest.mark.parametrize(
    ("which", "name", "reason"),
    [
        ("stranger", "mx.test", "unable to get issuer cert locally"),
        ("server", "other.test", "does not name other.test"),
        ("server", None, "does not name 127.0.0.1"),
    ],
)
def test_required_takes_only_a_certificate_that_proves_the_name(
    tls: Authority, which: str, name: str | None, reason: str
) -> None:
    with ScriptedPeer(secure(getattr(tls, which))) as peer:
        hop = replace(peer.hop, from_dns=name, tls="required")
        with pytest.raises(TlsFailed, match=reason) as failure:
            connect(hop, cafile=tls.cafile)
        assert "\n" not in str(failure.value)
        assert peer.accepted == 1


def test_off_never_uses_it(tls: Authority) -> None:
    with ScriptedPeer(clear) as peer:
        client = connect(named(peer, tls="off"))
        assert not client.secured
        assert client.send(RCPT, [RCPT], Letter(b"x"))[RCPT].code == 250


def broken_handshake(peer: Peer) -> None:
    peer.greet("STARTTLS")
    assert peer.hear() == "STARTTLS"
    peer.say("220 go")
    peer.say(b"this is no TLS record at all, and there is enough of it\r\n")


def hang_up_in_handshake(peer: Peer) -> None:
    peer.greet("STARTTLS")
    assert peer.hear() == "STARTTLS"
    peer.say("220 go")
    peer.gulp()


def silent_handshake(peer: Peer) -> None:
    hang_up_in_handshake(peer)
    peer.sock.settimeout(10)
    peer.gulp()


@pytest.mark.parametrize("failure", [broken_handshake, hang_up_in_handshake, silent_handshake])
def test_a_failed_handshake_is_followed_by_one_connection_in_clear(failure: Callable[[Peer], None]) -> None:
    with ScriptedPeer(failure, clear) as peer:
        client = connect(named(peer), timeouts=Timeouts(tls=0.1))
        assert not client.secured
        assert client.send(RCPT, [RCPT], Letter(b"x"))[RCPT].code == 250
        assert peer.accepted == 2


@pytest.mark.parametrize("failure", [broken_handshake, hang_up_in_handshake])
def test_required_does_not_go_on_in_clear(failure: Callable[[Peer], None]) -> None:
    with ScriptedPeer(failure) as peer, pytest.raises(TlsFailed):
        connect(named(peer, tls="required"))
    assert peer.accepted == 1


def test_starttls_that_is_not_offered() -> None:
    def session(peer: Peer) -> None:
        peer.greet("SIZE")

    with ScriptedPeer(session, session) as peer:
        assert not connect(named(peer)).secured
        with pytest.raises(TlsFailed, match="does not offer STARTTLS"):
            connect(named(peer, tls="required"))


def test_starttls_that_is_refused() -> None:
    def session(peer: Peer) -> None:
        peer.greet("STARTTLS")
        peer.take(["454 4.7.0 not now"])
        take_mail(peer)

    with ScriptedPeer(session, session) as peer:
        client = connect(named(peer))
        assert client.send(RCPT, [RCPT], Letter(b"x"))[RCPT].code == 250
        with pytest.raises(TlsFailed, match="not now"):
            connect(named(peer, tls="required"))


def test_starttls_answered_by_421_is_a_refusal() -> None:
    def session(peer: Peer) -> None:
        peer.greet("STARTTLS")
        peer.take(["421 bye"])

    with ScriptedPeer(session) as peer, pytest.raises(Rejected) as rejected:
        connect(named(peer))
    assert rejected.value.phase == "starttls"


INJECTED = (
    b"220 go\r\n250-evil\r\n250-AUTH PLAIN\r\n250 SMTPUTF8\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"
)


def test_what_was_said_in_clear_before_the_handshake_is_forgotten(tls: Authority) -> None:
    def session(peer: Peer) -> None:
        peer.greet("STARTTLS", "AUTH PLAIN")
        peer.hear()
        peer.say(INJECTED)
        peer.start_tls(tls.server)
        assert peer.hello("X-SECURED") == "EHLO here.test"
        take_mail(peer)

    with ScriptedPeer(session) as peer:
        client = connect(named(peer, tls="required"), cafile=tls.cafile)
        assert client.extensions == {"X-SECURED": ""}
        assert client.send(RCPT, [RCPT], Letter(b"x"))[RCPT].code == 250


@pytest.mark.parametrize("name", ["x" * 70 + ".test", ".test"])
def test_a_name_that_no_certificate_can_have(tls: Authority, name: str) -> None:
    with ScriptedPeer(hang_up_in_handshake, clear) as peer:
        assert not connect(replace(peer.hop, from_dns=name)).secured


# -- AUTH


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def auth_session(offer: str, *answers: str, heard: list[str]) -> Callable[[Peer], None]:
    def session(peer: Peer) -> None:
        peer.greet(offer)
        heard.extend(peer.take(answers))

    return session


CHALLENGE = b64("<1896.697170952@peer.test>")
DIGEST = hmac.new(PASSWORD.encode(), b"<1896.697170952@peer.test>", "md5").hexdigest()


@pytest.mark.parametrize(
    ("offer", "wanted", "answers", "expected"),
    [
        ("AUTH PLAIN LOGIN", None, ["235 ok"], [f"AUTH PLAIN {b64(f'{chr(0)}joe{chr(0)}{PASSWORD}')}"]),
        (
            "AUTH PLAIN LOGIN",
            "login",
            ["334 VXNlcm5hbWU6", "334 cGFzcw==", "235 2.7.0 ok"],
            ["AUTH LOGIN", b64("joe"), b64(PASSWORD)],
        ),
        ("AUTH=LOGIN", None, ["334 User?", "334 Pass?", "235 ok"], ["AUTH LOGIN", b64("joe"), b64(PASSWORD)]),
        (
            "AUTH CRAM-MD5 PLAIN",
            "CRAM-MD5",
            [f"334 {CHALLENGE}", "235 ok"],
            ["AUTH CRAM-MD5", b64(f"joe {DIGEST}")],
        ),
    ],
)
def test_mechanisms(offer: str, wanted: str | None, answers: list[str], expected: list[str]) -> None:
    heard: list[str] = []
    with ScriptedPeer(auth_session(offer, *answers, heard=heard)) as peer:
        hop = replace(peer.hop, auth_user="joe", auth_pass=PASSWORD, auth_type=wanted)
        assert connect(hop).authenticated
    assert heard == expected


@pytest.mark.parametrize(
    ("offer", "answers", "code"),
    [
        ("AUTH PLAIN", ["535 5.7.8 wrong"], 535),
        ("AUTH PLAIN", ["454 4.7.0 later"], 454),
        ("AUTH PLAIN", ["334 "], 451),
        ("AUTH LOGIN", ["535 wrong"], 535),
        ("AUTH LOGIN", ["334 User?", "535 wrong"], 535),
        ("AUTH CRAM-MD5", ["504 unknown"], 504),
        ("AUTH GSSAPI", [], 454),
        ("SIZE", [], 454),
    ],
)
def test_auth_that_fails(offer: str, answers: list[str], code: int) -> None:
    with ScriptedPeer(auth_session(offer, *answers, heard=[])) as peer, pytest.raises(Rejected) as rejected:
        connect(replace(peer.hop, auth_user="joe", auth_pass=PASSWORD))
    assert (rejected.value.reply.code, rejected.value.phase) == (code, "auth")


def test_a_challenge_that_is_no_base64() -> None:
    with (
        ScriptedPeer(auth_session("AUTH CRAM-MD5", "334 %%%", heard=[])) as peer,
        pytest.raises(MalformedReply),
    ):
        connect(replace(peer.hop, auth_user="joe", auth_pass=PASSWORD))


def test_auth_after_starttls_uses_what_was_offered_then(tls: Authority) -> None:
    heard: list[str] = []

    def session(peer: Peer) -> None:
        peer.greet("STARTTLS", "AUTH LOGIN")
        peer.take(["220 go"])
        peer.start_tls(tls.server)
        peer.hello("AUTH PLAIN")
        heard.extend(peer.take(["235 ok"]))

    with ScriptedPeer(session) as peer:
        client = connect(named(peer, auth_user="joe", auth_pass=PASSWORD))
        assert client.secured and client.authenticated
    assert heard[0].startswith("AUTH PLAIN ")


@pytest.mark.parametrize(
    ("ip", "policy", "sends"),
    [
        ("192.0.2.1", "opportunistic", False),
        ("2001:db8::1", "opportunistic", False),
        ("", "opportunistic", False),
        ("127.0.0.1", "opportunistic", True),
        ("192.0.2.1", "off", True),
    ],
)
def test_a_password_goes_in_clear_only_where_that_is_meant(ip: str, policy: Any, sends: bool) -> None:
    heard: list[str] = []
    with ScriptedPeer(auth_session("AUTH PLAIN", "235 ok", heard=heard)) as peer:
        wire = connect_wire(peer.hop.host, peer.hop.port, timeout=5)
        dialogue = Dialogue(wire, None, "-")
        dialogue.peer = (ip, 25)
        hop = replace(peer.hop, auth_user="joe", auth_pass=PASSWORD, tls=policy)
        opening = Opening(dialogue, hop, "here.test", Timeouts())
        if sends:
            opening.run(use_tls=policy != "off", cafile="")
        else:
            with pytest.raises(TlsFailed, match="will not send a password") as failure:
                opening.run(use_tls=True, cafile="")
            assert failure.value.phase == "auth"
        wire.close()
    assert bool(heard and heard[0]) is sends


@pytest.mark.parametrize(
    ("offer", "answers"),
    [
        ("AUTH PLAIN", ["235 ok"]),
        ("AUTH PLAIN", ["535 wrong"]),
        ("AUTH LOGIN", ["334 User?", "334 Pass?", "235 ok"]),
        ("AUTH CRAM-MD5", [f"334 {CHALLENGE}", "535 wrong"]),
    ],
)
def test_secrets_are_never_logged(offer: str, answers: list[str]) -> None:
    lines: list[str] = []
    heard: list[str] = []
    with ScriptedPeer(auth_session(offer, *answers, heard=heard)) as peer:
        try:
            connect(
                replace(peer.hop, auth_user="joe", auth_pass=PASSWORD),
                logger=Logger(level=DATA, write=lines.append),
            )
        except Rejected as error:
            lines.append(repr(error))
    log = "\n".join(lines)
    assert "AUTH" in log and "***" in log
    for secret in (PASSWORD, DIGEST, *heard[1:], heard[0].removeprefix("AUTH PLAIN ")):
        assert secret == "AUTH LOGIN" or secret == "AUTH CRAM-MD5" or secret not in log


def test_a_peer_that_hangs_up_during_auth() -> None:
    def session(peer: Peer) -> None:
        peer.greet("AUTH PLAIN")
        peer.hear()

    with ScriptedPeer(session) as peer, pytest.raises(ConnectionLost) as lost:
        connect(replace(peer.hop, auth_user="joe", auth_pass=PASSWORD))
    assert lost.value.phase == "auth" and PASSWORD not in str(lost.value)


# -- implicit TLS (RFC 8314)


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_from_the_first_byte_is_verified_and_never_falls_back(trusted: bool, tls: Authority) -> None:
    def session(peer: Peer) -> None:
        peer.start_tls(tls.server if trusted else tls.stranger)
        peer.greet()
        take_mail(peer)

    with ScriptedPeer(session) as peer:
        hop = replace(named(peer), tls="required", implicit_tls=True)
        if not trusted:
            with pytest.raises(TlsFailed):
                connect(hop, cafile=tls.cafile)
            return
        client = connect(hop, cafile=tls.cafile)
        assert client.secured
        client.close()
