"""SCRAM against a real server and against liars, and access tokens in the dialogues of Google and Microsoft."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scramp import ScramMechanism

from mta.logger import DATA, Logger
from mta.net.next_hop import NextHop
from mta.net.oauth import CLIENT_CREDENTIALS, OAuthClient, TokenSource
from mta.net.smtp_client import Rejected, SmtpClient
from mta.plugin import AuthPlugin
from mta.smtp.address import Address
from tests.net.scripted_peer import Letter, Peer, ScriptedPeer
from tests.support.service import Inbound, Local
from tests.support.tls import Authority, Site
from tests.support.token_endpoint import TokenEndpoint

USER, PASSWORD = "alice@example.com", "s3cret"
RCPT = Address.parse("bob@example.com")
NAMES = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN")


def connect(hop: NextHop, **more: Any) -> SmtpClient:
    return SmtpClient.connect(hop, helo="here.test", connect_timeout=5, **more)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def unb64(text: str) -> str:
    return base64.b64decode(text).decode()


# -- our own server


class Backend(AuthPlugin):
    name = "backend"
    first_delay = 0.0

    def password_of(self, connection, user):
        return PASSWORD if user == USER else None

    def methods(self, connection):
        return NAMES


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def inbound(tmp_path: Path, authority: Authority) -> Iterator[Inbound]:
    site = Site(tmp_path)
    site.main(authority.pair("mail.test"))
    authority.root.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with site.inbound(Backend(), Local()) as running:
        yield running


def login(inbound: Inbound, tmp_path: Path, **changes: Any) -> SmtpClient:
    hop = NextHop(
        "127.0.0.1", inbound.port, from_dns="mail.test", tls="required", auth_user=USER, auth_pass=PASSWORD
    )
    return connect(replace(hop, **changes), cafile=str(tmp_path / "ca.pem"))


@pytest.mark.parametrize("mechanism", [None, *map(str.lower, NAMES)])
def test_every_mechanism_of_our_own_server(inbound: Inbound, tmp_path: Path, mechanism: str | None) -> None:
    client = login(inbound, tmp_path, auth_type=mechanism)
    assert client.authenticated
    assert client.send(RCPT, [RCPT], Letter(b"Subject: x\r\n\r\n"), chunking=True)[RCPT].code == 250


@pytest.mark.parametrize("mechanism", [None, "scram-sha-256", "plain"])
def test_a_wrong_password(inbound: Inbound, tmp_path: Path, mechanism: str | None) -> None:
    with pytest.raises(Rejected) as rejected:
        login(inbound, tmp_path, auth_pass="other", auth_type=mechanism)
    assert rejected.value.reply.code == 535


@pytest.mark.parametrize(
    ("offer", "wanted", "flag"),
    [
        ("SCRAM-SHA-256-PLUS SCRAM-SHA-256", None, "p=tls-server-end-point,,"),
        ("SCRAM-SHA-256-PLUS SCRAM-SHA-256", "scram-sha-256", "n,,"),
        # RFC 5802 6: the server sees by this that somebody in the middle took its offer of a binding away.
        ("SCRAM-SHA-256", None, "y,,"),
    ],
)
def test_whether_the_exchange_is_bound_to_the_session(
    authority: Authority, tmp_path: Path, offer: str, wanted: str | None, flag: str
) -> None:
    heard: list[str] = []

    def session(peer: Peer) -> None:
        peer.greet("STARTTLS")
        peer.take(["220 go"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        key, chain = authority.pair("mx.test")
        (tmp_path / "pair.pem").write_bytes(key + chain)
        context.load_cert_chain(tmp_path / "pair.pem")
        peer.start_tls(context)
        peer.hello(f"AUTH {offer}")
        heard.extend(peer.take(["535 no"]))

    with ScriptedPeer(session) as peer, pytest.raises(Rejected):
        connect(replace(peer.hop, auth_user=USER, auth_pass=PASSWORD, auth_type=wanted))
    assert unb64(heard[0].split(" ")[2]).startswith(flag)


# -- SCRAM with a scripted peer


def scram_peer(mechanism: str, *, proves: bool = True, final: str | None = None) -> Callable[[Peer], None]:
    def session(peer: Peer) -> None:
        peer.greet(f"AUTH {mechanism} PLAIN")
        made = ScramMechanism(mechanism).make_auth_info(PASSWORD, iteration_count=4096)
        server = ScramMechanism(mechanism).make_server(lambda user: made)
        verb, name, first = peer.hear().split(" ")
        assert (verb, name) == ("AUTH", mechanism)
        server.set_client_first(unb64(first))
        peer.say(f"334 {b64(server.get_server_first())}")
        server.set_client_final(unb64(peer.hear()))
        if proves:
            peer.say(f"334 {b64(final or server.get_server_final())}")
            if peer.hear() != "":
                return
        peer.say("235 2.7.0 ok")

    return session


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_scram(mechanism: str) -> None:
    with ScriptedPeer(scram_peer(mechanism)) as peer:
        assert connect(replace(peer.hop, auth_user=USER, auth_pass=PASSWORD)).authenticated


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"proves": False}, "did not prove that it knows the password"),
        ({"final": "v=" + b64("x" * 32)}, "broke off"),
        ({"final": "e=other-error"}, "broke off"),
    ],
)
def test_a_server_that_does_not_know_the_password_gets_no_mail(options: dict[str, Any], why: str) -> None:
    with (
        ScriptedPeer(scram_peer("SCRAM-SHA-256", **options)) as peer,
        pytest.raises(Rejected, match=why) as rejected,
    ):
        connect(replace(peer.hop, auth_user=USER, auth_pass=PASSWORD))
    assert rejected.value.reply.code == 454 and PASSWORD not in str(rejected.value)


@pytest.mark.parametrize(
    "challenge", ["%%%", b64("r=x,s=eA==,i=4096"), b64("hello"), b64("r=,s=,i=99999999"), ""]
)
def test_challenges_that_make_no_sense(challenge: str) -> None:
    def session(peer: Peer) -> None:
        peer.greet("AUTH SCRAM-SHA-256")
        peer.take([f"334 {challenge}"])

    with ScriptedPeer(session) as peer, pytest.raises(Rejected) as rejected:
        connect(replace(peer.hop, auth_user=USER, auth_pass=PASSWORD))
    assert rejected.value.reply.code == 454


def test_a_server_can_not_make_us_compute_for_minutes() -> None:
    def session(peer: Peer) -> None:
        peer.greet("AUTH SCRAM-SHA-256")
        nonce = unb64(peer.hear().split(" ")[2]).partition("r=")[2]
        peer.say(f"334 {b64(f'r={nonce}more,s=c2FsdA==,i=1999999999')}")

    with ScriptedPeer(session) as peer, pytest.raises(Rejected, match="iterations"):
        connect(replace(peer.hop, auth_user=USER, auth_pass=PASSWORD))


def test_a_wish_for_scram_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from mta.net import smtp_scram

    monkeypatch.setattr(smtp_scram, "available", lambda: False)
    heard: list[str] = []

    def session(peer: Peer) -> None:
        peer.greet("AUTH SCRAM-SHA-256 PLAIN")
        heard.extend(peer.take(["235 ok"]))

    with ScriptedPeer(session, session) as peer:
        hop = replace(peer.hop, auth_user=USER, auth_pass=PASSWORD)
        connect(hop)
        assert heard[0].startswith("AUTH PLAIN ")
        with pytest.raises(Rejected, match="SCRAM-SHA-256 needs pip install scramp"):
            connect(replace(hop, auth_type="scram-sha-256"))


# -- access tokens


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint() as endpoint:
        yield endpoint


def source(endpoint: TokenEndpoint, **more: Any) -> TokenSource:
    return TokenSource(OAuthClient(endpoint.url, "me", "s3cret", CLIENT_CREDENTIALS), **more)


def bearer(token: str) -> str:
    return b64(f"user={USER}\x01auth=Bearer {token}\x01\x01")


REFUSED = b64(json.dumps({"status": "401", "schemes": "bearer", "scope": "https://mail.google.com/"}))
GOOGLE = ("AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH", "SIZE 35882577", "8BITMIME")
MICROSOFT = (
    "SIZE 157286400",
    "PIPELINING",
    "DSN",
    "AUTH LOGIN XOAUTH2",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
)


def test_google(endpoint: TokenEndpoint) -> None:
    heard: list[str] = []

    def session(peer: Peer) -> None:
        peer.greet(*GOOGLE)
        heard.extend(peer.take(["235 2.7.0 Accepted"]))

    with ScriptedPeer(session) as peer:
        hop = replace(peer.hop, auth_user=USER, token=source(endpoint))
        assert connect(hop).authenticated
        port = peer.hop.port
    client_first = f"n,a={USER},\x01host=127.0.0.1\x01port={port}\x01auth=Bearer token-1\x01\x01"
    assert heard == [f"AUTH OAUTHBEARER {b64(client_first)}"]


def test_microsoft(endpoint: TokenEndpoint) -> None:
    heard: list[str] = []

    def session(peer: Peer) -> None:
        peer.greet(*MICROSOFT)
        heard.extend(peer.take(["235 2.7.0 Authentication successful"]))

    with ScriptedPeer(session) as peer:
        connect(replace(peer.hop, auth_user=USER, token=source(endpoint)))
    assert heard == [f"AUTH XOAUTH2 {bearer('token-1')}"]


@pytest.mark.parametrize(("mechanism", "cancel"), [("XOAUTH2", ""), ("OAUTHBEARER", "AQ==")])
def test_a_token_that_was_revoked_is_replaced_on_the_same_connection(
    endpoint: TokenEndpoint, mechanism: str, cancel: str
) -> None:
    heard: list[str] = []

    def first(peer: Peer) -> None:
        peer.greet(f"AUTH {mechanism}")
        peer.take(["235 ok"])

    def second(peer: Peer) -> None:
        peer.greet(f"AUTH {mechanism}")
        heard.extend(peer.take([f"334 {REFUSED}", "535 5.7.8 not accepted", "235 ok"]))

    with ScriptedPeer(first, second) as peer:
        hop = replace(peer.hop, auth_user=USER, token=source(endpoint))
        assert connect(hop).authenticated
        assert connect(hop).authenticated
    assert heard[1] == cancel
    assert "token-1" in unb64(heard[0].split(" ")[2]) and "token-2" in unb64(heard[2].split(" ")[2])
    assert len(endpoint.forms) == 2


def test_a_user_that_may_not_send_is_told_so_and_the_provider_is_not_asked_again_and_again(
    endpoint: TokenEndpoint,
) -> None:
    def session(peer: Peer) -> None:
        peer.greet(*MICROSOFT)
        peer.take([f"334 {REFUSED}", "535 5.7.3 Authentication unsuccessful"])

    with ScriptedPeer(*[session] * 3) as peer:
        hop = replace(peer.hop, auth_user=USER, token=source(endpoint))
        for _ in range(3):
            with pytest.raises(Rejected) as rejected:
                connect(hop)
    text = str(rejected.value.reply)
    assert text.startswith("535 5.7.3 Authentication unsuccessful (status 401) (the access token for alice@")
    assert len(endpoint.forms) == 1


def test_a_long_token_follows_the_command(endpoint: TokenEndpoint) -> None:
    """RFC 4954 4: the command line with an initial response has 512 octets at most."""
    token = "t" * 2000
    endpoint.answers.append((200, json.dumps({"access_token": token}).encode()))
    heard: list[str] = []

    def session(peer: Peer) -> None:
        peer.greet(*MICROSOFT)
        heard.extend(peer.take(["334 ", "235 ok"]))

    with ScriptedPeer(session) as peer:
        connect(replace(peer.hop, auth_user=USER, token=source(endpoint)))
    assert heard == ["AUTH XOAUTH2", bearer(token)]


def test_a_temporary_refusal_does_not_cost_the_token(endpoint: TokenEndpoint) -> None:
    def busy(peer: Peer) -> None:
        peer.greet(*MICROSOFT)
        peer.take(["454 4.7.0 busy"])

    def ready(peer: Peer) -> None:
        peer.greet(*MICROSOFT)
        peer.take(["235 ok"])

    with ScriptedPeer(busy, ready) as peer:
        hop = replace(peer.hop, auth_user=USER, token=source(endpoint))
        with pytest.raises(Rejected, match=r"454 4\.7\.0 busy"):
            connect(hop)
        connect(hop)
    assert len(endpoint.forms) == 1


@pytest.mark.parametrize(
    "challenge", ["", "%%%", b64("[]"), b64('{"status": ["x"]}'), b64('{"status": "a\\nb"}'), b64("{")]
)
def test_a_refusal_whose_reason_makes_no_sense(endpoint: TokenEndpoint, challenge: str) -> None:
    def session(peer: Peer) -> None:
        peer.greet(*MICROSOFT)
        peer.take([f"334 {challenge}", "535 no"])

    with ScriptedPeer(session) as peer, pytest.raises(Rejected, match=r"535 no \(the access token"):
        connect(replace(peer.hop, auth_user=USER, token=source(endpoint)))


def test_no_token_is_a_deferral_that_says_why(endpoint: TokenEndpoint) -> None:
    endpoint.fail("invalid_client", "unknown secret")

    def session(peer: Peer) -> None:
        peer.greet(*MICROSOFT)
        peer.gulp()

    with ScriptedPeer(session) as peer, pytest.raises(Rejected, match="invalid_client") as rejected:
        connect(replace(peer.hop, auth_user=USER, token=source(endpoint)))
    assert (rejected.value.reply.code, rejected.value.phase) == (454, "auth")


@pytest.mark.parametrize("offer", ["AUTH PLAIN LOGIN", "SIZE"])
def test_a_token_needs_a_mechanism_for_tokens(endpoint: TokenEndpoint, offer: str) -> None:
    def session(peer: Peer) -> None:
        peer.greet(offer)
        peer.gulp()

    with ScriptedPeer(session) as peer, pytest.raises(Rejected, match="no usable AUTH mechanism"):
        connect(replace(peer.hop, auth_user=USER, auth_pass="pw", token=source(endpoint)))


def test_nothing_secret_is_logged(endpoint: TokenEndpoint) -> None:
    lines: list[str] = []
    endpoint.answers.append((200, json.dumps({"access_token": "x" * 600}).encode()))

    def tokens(peer: Peer) -> None:
        peer.greet(*MICROSOFT)
        peer.take(["334 ", f"334 {REFUSED}", "535 no"])

    with ScriptedPeer(tokens, scram_peer("SCRAM-SHA-256")) as peer:
        logger = Logger(level=DATA, write=lines.append)
        hop = replace(peer.hop, auth_user=USER)
        with pytest.raises(Rejected):
            connect(replace(hop, token=source(endpoint)), logger=logger)
        connect(replace(hop, auth_pass=PASSWORD), logger=logger)
    text = "\n".join(lines)
    assert "C: AUTH XOAUTH2" in text and "C: AUTH SCRAM-SHA-256 ***" in text
    for secret in ("x" * 10, bearer("x" * 600)[:20], PASSWORD):
        assert secret not in text
