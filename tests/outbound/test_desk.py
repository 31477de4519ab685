"""What an operator orders is carried out once, is durable, and can be explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from mta.config.schema import SmarthostSettings
from mta.outbound.gate import cause_of
from mta.outbound.qfile import HELD_MS, QueueFileName
from mta.outbound.suspensions import Suspension, Suspensions
from mta.plugin.hooks import Plugin
from tests.support.fake_mx import FakeMx
from tests.support.relay import Relay
from tests.support.server import eventually


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Callable[..., Relay]]:
    made: list[Relay] = []

    def make(mx: FakeMx | None, *plugins: Plugin, **settings: object) -> Relay:
        made.append(Relay(tmp_path / "queue", mx, *plugins, **settings))
        return made[-1]

    yield make
    for each in made:
        each.stop(0)


def waiting(relay: Relay, *rcpts: str, due_in: float = 3600) -> QueueFileName:
    """An entry that the running engine knows of and that is not due."""
    name = relay.put(*rcpts or ("joe@b.test",), due_in=due_in)
    relay.outbound.engine.wake([name], [], None)
    return name


def test_retry_now(relay, mx) -> None:
    sender = relay(mx).start()
    name = waiting(sender)
    (gate,) = sender.outbound.desk.explain(name.text)
    assert gate.kind == "backoff" and abs(gate.until - name.next_attempt / 1000) < 1
    assert sender.outbound.desk.retry([name.text, "no such"]) == {name.text: "done", "no such": "gone"}
    assert eventually(sender.empty)


def test_hold_survives_a_restart_and_a_flush_and_release_lets_go(relay, mx) -> None:
    sender = relay(mx).start()
    name = waiting(sender)
    desk = sender.outbound.desk
    assert desk.hold([name.text]) == {name.text: "done"}
    (held,) = sender.entries()
    assert held.is_held and held.next_attempt == HELD_MS and held.attempts == name.attempts
    assert [gate.kind for gate in desk.explain(held.text)] == ["held"]
    assert desk.retry([held.text]) == {held.text: "held"}
    sender.stop()
    sender.start()
    sender.outbound.flush()
    assert eventually(lambda: sender.outbound.desk.explain(held.text) is not None)
    sender.outbound.flush()
    assert sender.entries() == [held] and mx.sessions == 0
    assert sender.outbound.desk.release([held.text]) == {held.text: "done"}
    assert eventually(sender.empty)
    assert mx.rcpts() == ["joe@b.test"]


def test_bounce_tells_the_sender_why(relay, mx) -> None:
    sender = relay(mx).start()
    name = waiting(sender)
    assert sender.outbound.desk.bounce([name.text], "account closed") == {name.text: "done"}
    assert eventually(sender.empty)
    assert mx.rcpts() == ["sender@a.test"]
    assert b"account closed" in mx.messages[0].data


def test_delete_tells_the_log_only(relay, mx) -> None:
    sender = relay(mx).start()
    name = waiting(sender)
    assert sender.outbound.desk.delete([name.text]) == {name.text: "done"}
    assert sender.empty() and mx.sessions == 0
    (line,) = sender.logged("deleted by an operator")
    assert "joe@b.test" in line and name.text in line


def test_reroute_is_written_into_the_entry(relay, mx) -> None:
    sender = relay(None).start()
    name = waiting(sender)
    desk = sender.outbound.desk
    desk.suspend(Suspension("*"))
    assert desk.reroute([name.text], f"smtp://127.0.0.1:{mx.port}") == {name.text: "done"}
    todo, _ = sender.spool.load(name)
    assert todo.extra["next_hop"] == f"smtp://127.0.0.1:{mx.port}"


def test_what_is_under_way_is_left_alone(relay, mx) -> None:
    mx.slow("dot", 1)
    sender = relay(mx).start()
    sender.submit()
    assert eventually(lambda: bool(mx.commands))
    (name,) = sender.entries()
    assert sender.outbound.desk.delete([name.text]) == {name.text: "busy"}
    assert [gate.kind for gate in sender.outbound.desk.explain(name.text)] == ["delivering"]


def test_an_order_that_the_disk_refuses_is_reported_and_the_entry_kept(relay, mx) -> None:
    sender = relay(mx).start()
    name = waiting(sender)
    sender.disk.failing = {"rename"}
    result = sender.outbound.desk.hold([name.text])[name.text]
    assert "No space left" in result
    sender.disk.failing = set()
    assert [gate.kind for gate in sender.outbound.desk.explain(name.text)] == ["backoff"]
    assert sender.outbound.desk.hold([name.text]) == {name.text: "done"}


def test_the_last_reply_can_be_asked_for(relay, mx) -> None:
    mx.reply("rcpt", "451 4.7.1 greylisted")
    sender = relay(mx, temp_fail_intervals=(3600,)).start()
    sender.submit()
    assert eventually(lambda: [name.attempts for name in sender.entries()] == [1])
    (name,) = sender.entries()
    assert eventually(lambda: sender.outbound.desk.reason(name.text) is not None)
    assert sender.outbound.desk.reason(name.text) == "127.0.0.1: 451 4.7.1 greylisted"


def test_a_queue_that_is_disabled_says_so(relay, mx) -> None:
    sender = relay(mx, disabled=True).start()
    sender.submit()
    (name,) = sender.entries()
    assert [gate.kind for gate in sender.outbound.desk.explain(name.text)] == ["disabled"]
    assert sender.outbound.desk.stats()["disabled"] is True


def test_stats_count_what_waits(relay) -> None:
    sender = relay(None)
    sender.settings = sender.settings.__class__(
        smarthost=sender.settings.smarthost, temp_fail_intervals=(3600,)
    )
    sender.start()
    waiting(sender)
    sender.outbound.desk.hold([waiting(sender).text])
    stats = sender.outbound.desk.stats()
    assert (stats["scheduled"], stats["held"], stats["parked"], stats["in_progress"]) == (1, 1, 0, 0)


def test_suspensions_are_listed_and_logged(relay, mx) -> None:
    sender = relay(mx)
    sender.suspensions = Suspensions(sender.directory.with_name("queue.state"))
    sender.start()
    sender.outbound.desk.suspend(Suspension("b.test", None, "blocked"))
    assert [each.scope for each in sender.outbound.desk.suspensions()] == ["b.test"]
    assert sender.logged("b.test suspended reason=blocked")
    assert sender.outbound.desk.resume("b.test") and not sender.outbound.desk.resume("b.test")


def test_many_orders_beside_deliveries_lose_nothing(relay, mx) -> None:
    sender = relay(mx).start()
    names = [waiting(sender, f"r{number}@b.test") for number in range(30)]
    for number in range(30):
        sender.submit(f"s{number}@b.test")
    desk = sender.outbound.desk
    held = desk.hold([name.text for name in names[:10]])
    assert set(held.values()) == {"done"}
    assert set(desk.retry([name.text for name in names[10:]]).values()) == {"done"}
    assert eventually(lambda: len(mx.messages) == 50)
    assert set(desk.release([name.text for name in sender.entries() if name.is_held]).values()) == {"done"}
    assert eventually(sender.empty)
    assert len(set(mx.rcpts())) == len(mx.rcpts()) == 60


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("451 4.4.3 DNS lookup failure: MX b.test: timeout", "DNS failure"),
        ("mx.b.test: 451 4.7.5 the certificate is for another host", "TLS policy"),
        ("mx.b.test: 450 4.2.0 greylisted", None),
        (None, None),
    ],
)
def test_what_has_to_be_mended_is_named(reason: str | None, kind: str | None) -> None:
    cause = cause_of(reason)
    assert (cause.kind if cause is not None else None) == kind


def test_a_failed_lookup_is_a_gate(relay) -> None:
    sender = relay(None, temp_fail_intervals=(3600,))
    sender.settings = replace(sender.settings, smarthost=SmarthostSettings())
    sender.start()
    sender.submit()  # the resolver of these tests has nobody to ask
    assert eventually(lambda: [name.attempts for name in sender.entries()] == [1])
    (name,) = sender.entries()
    assert eventually(lambda: sender.outbound.desk.reason(name.text) is not None)
    assert [gate.kind for gate in sender.outbound.desk.explain(name.text)] == ["backoff", "DNS failure"]


def test_an_order_is_done_when_a_power_cut_can_not_undo_it(relay, mx) -> None:
    sender = relay(mx).start()
    name = waiting(sender)
    sender.disk.failing = {"sync_directory"}
    result = sender.outbound.desk.hold([name.text])[name.text]
    assert "cannot sync" in result
    assert [entry.is_held for entry in sender.entries()] == [True]


def test_two_suspensions_at_once_are_both_kept(relay, mx, tmp_path: Path) -> None:
    sender = relay(mx)
    sender.suspensions = Suspensions(tmp_path / "queue.state")
    sender.start()
    scopes = [f"s{number}.test" for number in range(10)]
    gevent.joinall([gevent.spawn(sender.outbound.desk.suspend, Suspension(scope)) for scope in scopes])
    assert [each.scope for each in Suspensions(tmp_path / "queue.state").all()] == scopes
