"""failover_on: which refusals of one host are offered to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mta.config.schema import OutboundRouteSettings
from mta.outbound.outcome import DEFERRED, DELIVERED, FAILED, Fate
from tests.support.fake_mx import FakeMx
from tests.support.ports import free_port
from tests.support.sender import Sender

FULL, GONE = "452 4.2.2 full", "550 5.1.1 gone"


@pytest.fixture
def backup() -> Iterator[FakeMx]:
    with FakeMx() as server:
        yield server


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(
    ("failover_on", "reply", "fate"),
    [
        ("connection", FULL, DEFERRED),
        ("connection", GONE, FAILED),
        ("tempfail", FULL, DELIVERED),
        ("tempfail", GONE, FAILED),
        ("reject", FULL, DELIVERED),
        ("reject", GONE, DELIVERED),
    ],
)
def test_refusals_that_the_next_host_hears_of(
    phase: str, failover_on: str, reply: str, fate: Fate, mx, backup
) -> None:
    mx.reply(phase, reply)
    with Sender(mx.smarthost, backup.smarthost, failover_on=failover_on) as relay:
        assert relay.deliver().fate is fate
    assert backup.rcpts() == (["joe@b.test"] if fate is DELIVERED else [])
    assert mx.messages == []


def test_only_those_who_were_refused_are_offered_again(mx, backup) -> None:
    mx.reply("rcpt", FULL, rcpt="full@b.test").reply("rcpt", GONE, rcpt="gone@b.test")
    with Sender(mx.smarthost, backup.smarthost, failover_on="tempfail") as relay:
        outcomes = relay.send(relay.hmail("full@b.test", "joe@b.test", "gone@b.test"))
    assert {rcpt: outcome.fate for rcpt, outcome in outcomes.items()} == {
        "full@b.test": DELIVERED,
        "joe@b.test": DELIVERED,
        "gone@b.test": FAILED,
    }
    assert (mx.rcpts(), backup.rcpts()) == (["joe@b.test"], ["full@b.test"])


@pytest.mark.parametrize(
    ("first", "second", "fate", "said"),
    [
        (FULL, "450 4.2.0 busy", DEFERRED, "450 4.2.0 busy"),
        (GONE, "550 5.7.1 no", FAILED, "550 5.7.1 no"),
        (GONE, FULL, DEFERRED, FULL),
        (FULL, GONE, DEFERRED, FULL),
    ],
)
def test_what_counts_is_the_best_and_then_the_last_answer(
    first: str, second: str, fate: Fate, said: str, mx, backup
) -> None:
    mx.reply("rcpt", first)
    backup.reply("rcpt", second)
    with Sender(mx.smarthost, backup.smarthost, failover_on="reject") as relay:
        outcome = relay.deliver()
    assert (outcome.fate, str(outcome.reply)) == (fate, said)


@pytest.mark.parametrize(
    ("reply", "enhanced"), [(GONE, "4.4.1"), (FULL, "4.2.2")], ids=["turned away for good", "for now"]
)
def test_nobody_fails_while_a_host_has_not_been_heard(reply: str, enhanced: str, mx) -> None:
    mx.reply("rcpt", reply)
    with Sender(mx.smarthost, f"127.0.0.1:{free_port()}", failover_on="reject") as relay:
        outcome = relay.deliver()
    assert (outcome.fate, outcome.reply.enhanced) == (DEFERRED, enhanced)


def test_after_the_dot_nobody_else_is_asked(mx, backup) -> None:
    mx.reply("rcpt", GONE, rcpt="gone@b.test").drop("dot")
    with Sender(mx.smarthost, backup.smarthost, failover_on="reject") as relay:
        outcomes = relay.send(relay.hmail("gone@b.test", "joe@b.test"))
    assert [outcome.fate for outcome in outcomes.values()] == [DEFERRED, DEFERRED]
    assert backup.sessions == 0


def test_lmtp_recipients_that_were_refused_after_the_dot(backup) -> None:
    with FakeMx(lmtp=True) as first, FakeMx(lmtp=True) as second:
        first.reply("dot", FULL, rcpt="a@b.test").reply("dot", "250 ok", rcpt="b@b.test")
        hosts = [f"lmtp://{mx.smarthost}" for mx in (first, second)]
        with Sender(*hosts, failover_on="tempfail") as relay:
            outcomes = relay.send(relay.hmail("a@b.test", "b@b.test"))
        assert {outcome.fate for outcome in outcomes.values()} == {DELIVERED}
        assert (first.rcpts(), second.rcpts()) == (["b@b.test"], ["a@b.test"])


def test_a_route_has_its_own_word(mx, backup) -> None:
    mx.reply("rcpt", GONE)
    route = OutboundRouteSettings(
        recipients=("b.test",), host=(mx.smarthost, backup.smarthost), tls="off", failover_on="reject"
    )
    with Sender(routes={"r": route}) as relay:
        assert relay.deliver().fate is DELIVERED
