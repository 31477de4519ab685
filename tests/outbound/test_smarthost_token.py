"""Mail to a smarthost that wants access tokens: from the settings to the delivery, or to the deferral and its reason."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mta.config.schema import OutboundSettings, SmarthostSettings
from mta.net.client_pool import ClientPool
from mta.net.dns import Resolver
from mta.outbound.delivery import Deliverer
from mta.outbound.outcome import DEFERRED, DELIVERED, Outcome
from mta.outbound.route import Router
from mta.outbound.smarthost import SmarthostError, smarthosts
from tests.net.scripted_peer import Peer, ScriptedPeer
from tests.support.outbound import hmail_for
from tests.support.plugins import runner_of
from tests.support.token_endpoint import TokenEndpoint

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
GOOD = SmarthostSettings(
    host=("127.0.0.1:587",),
    auth_user="me@example.com",
    oauth_token_url="https://login.example.com/token",
    oauth_client_id="client",
    oauth_refresh_token_file="/etc/haraka/refresh",
)


def test_the_settings_become_a_source_of_tokens() -> None:
    (hop,) = smarthosts(OutboundSettings(smarthost=GOOD))
    assert hop.token is not None and (hop.auth_user, hop.auth_pass, hop.auth_type) == (
        "me@example.com",
        None,
        None,
    )
    (again,) = smarthosts(OutboundSettings(smarthost=replace(GOOD, tls="required")))
    assert again.token is hop.token  # a reload does not throw a good token away
    (other,) = smarthosts(OutboundSettings(smarthost=replace(GOOD, oauth_client_id="other")))
    assert other.token is not hop.token and other.pool_key != hop.pool_key
    (typed,) = smarthosts(OutboundSettings(smarthost=replace(GOOD, auth_type="xoauth2")))
    assert typed.auth_type == "xoauth2"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"oauth_token_url": "", "auth_pass": "p", "auth_type": "xoauth2"},
            "auth_type=xoauth2 needs oauth_token_url",
        ),
        ({"auth_type": "plain"}, "auth_type=plain does not use oauth_token_url"),
        ({"auth_user": ""}, "no auth_user"),
        ({"auth_pass": "p"}, "both a password and oauth_token_url"),
        ({"oauth_token_url": "http://login.example.com/"}, "OAuth: a token endpoint is reached by https"),
        ({"oauth_client_id": ""}, "OAuth: a client id is needed"),
        ({"oauth_refresh_token_file": "refresh"}, "OAuth: .* absolute path"),
        ({"oauth_grant": "client_credentials"}, "OAuth: client_credentials needs the client's secret"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, str], why: str) -> None:
    with pytest.raises(SmarthostError, match=rf"outbound.ini \[smarthost\] .*{why}"):
        smarthosts(OutboundSettings(smarthost=replace(GOOD, **change)))


# -- deliveries


@pytest.fixture
def pool() -> Iterator[ClientPool]:
    made = ClientPool()
    yield made
    made.close_all()


@pytest.fixture
def refresh(tmp_path: Path) -> Path:
    file = tmp_path / "refresh"
    file.write_text("refresh-0\n")
    return file


class Site:
    """A deliverer with the smarthost of these settings."""

    def __init__(self, pool: ClientPool, peer: ScriptedPeer, endpoint_url: str, refresh: Path) -> None:
        runner, self.lines = runner_of()
        section = replace(
            GOOD,
            host=(f"127.0.0.1:{peer.hop.port}",),
            oauth_token_url=endpoint_url,
            oauth_refresh_token_file=str(refresh),
        )
        settings = OutboundSettings(smarthost=section, connect_timeout=5)
        resolver = Resolver(["127.0.0.1"], port=1, timeout=0.2, lifetime=0.2)
        router = Router(resolver, runner, runner._logger, settings, smarthosts(settings))
        self.deliverer = Deliverer(router, pool, settings, "relay.test")

    def deliver(self) -> Outcome:
        hmail = hmail_for(["joe@b.test"], MESSAGE, domain="b.test")
        (outcome,) = self.deliverer.deliver(hmail, self.deliverer.route(hmail)).values()
        return outcome


def token_of(line: str) -> str:
    return base64.b64decode(line.split(" ")[-1]).decode().split("Bearer ")[1].strip("\x01")


def take_mail(peer: Peer) -> None:
    peer.take(["250 ok", "250 ok", "354 go"])
    peer.until(b"\r\n.\r\n")
    peer.say("250 taken\n421 enough")


def test_a_token_that_ends_while_the_server_runs_is_renewed_once_and_the_mail_delivered(
    pool: ClientPool, refresh: Path
) -> None:
    tokens: list[str] = []

    def accepting(peer: Peer) -> None:
        peer.greet("AUTH LOGIN XOAUTH2")
        tokens.append(token_of(*peer.take(["235 2.7.0 ok"])))
        take_mail(peer)

    def refusing(peer: Peer) -> None:
        peer.greet("AUTH LOGIN XOAUTH2")
        old, empty, new = peer.take(["334 eyJzdGF0dXMiOiI0MDEifQ==", "535 5.7.3 expired", "235 2.7.0 ok"])
        assert empty == ""
        tokens.extend((token_of(old), token_of(new)))
        take_mail(peer)

    with TokenEndpoint(rotate=True) as endpoint, ScriptedPeer(accepting, refusing, accepting) as peer:
        site = Site(pool, peer, endpoint.url, refresh)
        assert [site.deliver().fate for _ in range(3)] == [DELIVERED] * 3
        assert tokens == ["token-1", "token-1", "token-2", "token-2"]
        assert [form["refresh_token"] for form in endpoint.forms] == ["refresh-0", "refresh-1"]
        assert refresh.read_text() == "refresh-2\n"


def waiting(peer: Peer) -> None:
    peer.greet("AUTH LOGIN XOAUTH2")
    peer.gulp()


def test_while_the_provider_is_down_mail_waits(pool: ClientPool, refresh: Path) -> None:
    endpoint = TokenEndpoint()
    endpoint.close()
    with ScriptedPeer(waiting) as peer:
        outcome = Site(pool, peer, endpoint.url, refresh).deliver()
    assert (outcome.fate, outcome.reply.code) == (DEFERRED, 454)
    assert f"127.0.0.1:{endpoint.port} can not be asked: Connection refused" in outcome.reason


def test_a_refresh_token_that_is_over_is_named_with_what_to_do(pool: ClientPool, refresh: Path) -> None:
    with TokenEndpoint() as endpoint, ScriptedPeer(waiting) as peer:
        endpoint.fail("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.")
        outcome = Site(pool, peer, endpoint.url, refresh).deliver()
    assert outcome.fate is DEFERRED
    assert "invalid_grant (AADSTS700082: The refresh token has expired" in outcome.reason
    assert f"get a new refresh token and write it to {refresh}" in outcome.reason


def test_a_smarthost_that_refuses_a_fresh_token_makes_mail_wait(pool: ClientPool, refresh: Path) -> None:
    def refusing(peer: Peer) -> None:
        peer.greet("AUTH XOAUTH2")
        peer.take(
            ["535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox."]
        )

    with TokenEndpoint() as endpoint, ScriptedPeer(refusing) as peer:
        outcome = Site(pool, peer, endpoint.url, refresh).deliver()
    assert (outcome.fate, outcome.reply.enhanced) == (DEFERRED, "5.7.139")
    assert "is disabled for the Mailbox. (the access token for me@example.com is fresh" in outcome.reason
