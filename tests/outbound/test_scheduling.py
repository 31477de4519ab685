"""Sites beside each other: real next hops, some of which are slow, hang up or are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mta.config.rate import Rate
from mta.config.schema import LimitSettings
from mta.net.next_hop import NextHop
from mta.outbound.limits import Limits
from mta.outbound.steady import WallClock
from mta.outbound.suspensions import Suspension, Suspensions
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import CONT, OK, Answer
from tests.support.fake_mx import FakeMx
from tests.support.ports import free_port
from tests.support.relay import Relay
from tests.support.server import eventually


class Where(Plugin):
    """Sends each domain to a host of its own."""

    def __init__(self, **hosts: FakeMx | int) -> None:
        self.ports = {domain: host if isinstance(host, int) else host.port for domain, host in hosts.items()}

    def hook_get_mx(self, hmail, domain) -> Answer:
        name = domain.removesuffix(".test")
        return OK, NextHop("127.0.0.1", self.ports[name], from_dns=f"mx.{domain}", tls="off")


@pytest.fixture
def other() -> Iterator[FakeMx]:
    with FakeMx() as server:
        yield server


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Callable[..., Relay]]:
    made: list[Relay] = []

    def make(
        *plugins: Plugin,
        limits: Limits | None = None,
        suspensions: Suspensions | None = None,
        **settings: object,
    ) -> Relay:
        made.append(Relay(tmp_path / "queue", None, *plugins, **settings))
        made[-1].limits, made[-1].suspensions = limits, suspensions
        return made[-1]

    yield make
    for each in made:
        each.stop(0)


def test_a_site_that_hangs_holds_up_nobody_else(relay, mx, other) -> None:
    mx.slow("banner", 30)
    sender = relay(Where(slow=mx, quick=other)).start()
    for number in range(60):
        sender.submit(f"r{number}@slow.test")
    for number in range(20):
        sender.submit(f"r{number}@quick.test")
    assert eventually(lambda: len(other.messages) == 20)
    sites = {site["site"]: site for site in sender.outbound.desk.stats()["sites"]}
    slow = sites["mx.slow.test"]
    assert (slow["busy"], slow["waiting"]) == (5, 55)


def test_the_same_after_a_restart_when_nothing_is_known_of_the_entries(relay, mx, other) -> None:
    mx.slow("banner", 30)
    sender = relay(Where(slow=mx, quick=other)).open()
    for number in range(40):
        sender.put(f"r{number}@slow.test", domain="slow.test")
    for number in range(10):
        sender.put(f"r{number}@quick.test", domain="quick.test")
    sender.spool.close()
    sender.start()
    assert eventually(lambda: len(other.messages) == 10)


def test_concurrency_grows_with_success_up_to_the_limit(relay, mx) -> None:
    mx.slow("dot", 0.02)
    limits = Limits(LimitSettings(), {"mx.b.test": LimitSettings(concurrency=8, initial_concurrency=2)})
    sender = relay(Where(b=mx), limits=limits).start()
    seen = set()
    for number in range(120):
        sender.submit(f"r{number}@b.test")
        seen.update(site["busy"] for site in sender.outbound.desk.stats()["sites"])
    assert eventually(sender.empty)
    assert 2 < max(seen) <= 8
    assert len(mx.messages) == 120


def test_a_site_that_is_not_there_gets_a_rest_and_its_mail_is_put_off(relay, other) -> None:
    limits = Limits(LimitSettings(initial_concurrency=2, unreachable_wait=3600), {})
    sender = relay(Where(gone=free_port(), b=other), limits=limits, temp_fail_intervals=(3600, 3600)).start()
    for number in range(10):
        sender.submit(f"r{number}@gone.test")
    assert eventually(lambda: [name.attempts for name in sender.entries()] == [1] * 10)
    assert sender.logged("mx.gone.test does not answer, its mail is deferred without asking for 3600 seconds")
    assert sender.logged("451 4.4.1 not tried, mx.gone.test does not answer")
    sender.submit("joe@b.test")
    assert eventually(lambda: len(other.messages) == 1)


def test_an_operator_ends_the_rest(relay, mx) -> None:
    where = Where(b=free_port())
    limits = Limits(LimitSettings(initial_concurrency=1, unreachable_wait=3600), {})
    sender = relay(where, limits=limits, temp_fail_intervals=(3600,)).start()
    sender.submit("joe@b.test")
    assert eventually(lambda: [name.attempts for name in sender.entries()] == [1])
    where.ports["b"] = mx.port
    sender.outbound.flush()
    assert eventually(sender.empty)
    assert mx.rcpts() == ["joe@b.test"]


def test_a_rate_is_kept(relay, mx) -> None:
    limits = Limits(LimitSettings(rate=Rate(3, 3600)), {})
    sender = relay(Where(b=mx), limits=limits).start()
    for number in range(4):
        sender.submit(f"r{number}@b.test")
    assert eventually(lambda: len(mx.messages) == 1)
    assert eventually(lambda: sender.outbound.engine.waiting == 3)
    names = [name.text for name in sender.entries()]
    assert {sender.outbound.desk.explain(name)[0].kind for name in names} == {"rate"}
    sender.outbound.limit(Limits(LimitSettings(), {}))
    assert eventually(sender.empty)


def test_the_next_goes_when_its_time_has_come_and_nobody_asks(relay, mx) -> None:
    sender = relay(Where(b=mx), limits=Limits(LimitSettings(rate=Rate(1, 1)), {})).start()
    for number in range(2):
        sender.submit(f"r{number}@b.test")
    assert eventually(sender.empty)
    assert len(mx.messages) == 2


def test_suspended_mail_waits_and_goes_when_resumed(relay, mx, other) -> None:
    suspensions = Suspensions(None)
    suspensions.suspend(Suspension("b.test", None, "blocked"))
    sender = relay(Where(b=mx, c=other), suspensions=suspensions).start()
    for rcpt in ("joe@b.test", "ann@b.test", "joe@c.test"):
        sender.submit(rcpt)
    assert eventually(lambda: len(other.messages) == 1)
    assert (mx.sessions, sender.outbound.engine.waiting) == (0, 2)
    assert sender.outbound.desk.resume("b.test")
    assert eventually(sender.empty)
    assert len(mx.messages) == 2


def test_hook_send_email_is_asked_once_though_the_mail_has_to_wait(relay, mx) -> None:
    class Asked(Plugin):
        count = 0

        def hook_send_email(self, hmail) -> Answer:
            type(self).count += 1
            hmail.notes["mark"] = hmail.uuid
            return None

        def hook_delivered(self, hmail, receipt) -> Answer:
            assert hmail.notes["mark"] == hmail.uuid
            return CONT

    mx.slow("dot", 0.05)
    sender = relay(Where(b=mx), Asked(), limits=Limits(LimitSettings(initial_concurrency=1), {})).start()
    for number in range(10):
        sender.submit(f"r{number}@b.test")
    assert eventually(sender.empty)
    assert Asked.count == 10
    assert not sender.logged("[CRIT]")


def test_the_clock_is_set_and_nothing_is_delayed_or_hurried(
    relay, mx, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = relay(Where(b=mx)).start()
    name = sender.put("joe@b.test", due_in=10_000)
    engine = sender.outbound.engine
    engine.wake([name], [], None)
    due = engine._waits._due.due(name.text)
    jumps = [-3_600_000]
    monkeypatch.setattr(WallClock, "jump", lambda self: jumps.pop() if jumps else 0)
    engine.reconsider()
    assert eventually(lambda: engine._waits._due.due(name.text) == due - 3_600_000)
    assert sender.logged("the clock was set by -3600 seconds")
