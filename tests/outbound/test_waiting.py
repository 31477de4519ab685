"""What goes next, on clocks that the test turns: no site is held up by another one."""

from __future__ import annotations

from collections import Counter

import pytest

from mta.config.rate import Rate
from mta.config.schema import LimitSettings
from mta.outbound import sites as sites_module
from mta.outbound.job import Job
from mta.outbound.limits import Limits
from mta.outbound.qfile import HELD_MS, QueueFileName
from mta.outbound.sites import NEVER, Site, Sites
from mta.outbound.suspensions import Suspension, Suspensions
from mta.outbound.waiting import Waiting

NOW, NOW_MS = 100.0, 1_000_000


def name(number: int, due_ms: int = NOW_MS) -> QueueFileName:
    return QueueFileName.of(1, due_ms, 0, 1, "aaaaaa", number, "h")


def waiting(**limits: object) -> Waiting:
    sites = Sites(Limits(LimitSettings(**limits), {}), Suspensions(None), lambda: 100)
    return Waiting(sites)


def site_of(waits: Waiting, domain: str) -> Site:
    return waits.sites.of(domain, domain, False)


def fill(waits: Waiting, domain: str, count: int, start: int = 0) -> Site:
    site = site_of(waits, domain)
    for number in range(count):
        waits.park(site, Job(NOW_MS, name(start + number)), NOW)
    return site


def test_what_is_due_comes_in_order_and_the_rest_not_yet() -> None:
    waits = waiting()
    for number, due in enumerate((NOW_MS - 5, NOW_MS + 5000, NOW_MS - 10)):
        waits.push(due, name(number, due).text)
    assert [waits.next(NOW_MS, NOW).name.counter for _ in range(2)] == [2, 0]
    assert waits.next(NOW_MS, NOW) is None
    assert waits.seconds(NOW_MS, NOW) == 5.0
    assert waits.next(NOW_MS + 5000, NOW + 5).name.counter == 1
    assert waits.seconds(NOW_MS, NOW) == NEVER


def test_a_site_without_room_parks_its_mail_and_others_go_on() -> None:
    waits = waiting(initial_concurrency=2)
    slow = fill(waits, "slow.test", 50)
    quick = fill(waits, "quick.test", 3, start=100)
    taken = []
    while (job := waits.next(NOW_MS, NOW)) is not None:
        taken.append(job)
    assert Counter(job.seat.name for job in taken) == {"slow.test": 2, "quick.test": 2}
    assert (slow.busy, quick.busy, len(waits)) == (2, 2, 49)
    quick.leave()
    waits.left(quick, NOW)
    job = waits.next(NOW_MS, NOW)
    assert job is not None and job.seat is quick
    assert waits.next(NOW_MS, NOW) is None


def test_sites_take_turns() -> None:
    waits = waiting(initial_concurrency=20)
    for start, domain in ((0, "a.test"), (100, "b.test"), (200, "c.test")):
        fill(waits, domain, 10, start)
    order = [waits.next(NOW_MS, NOW).seat.name for _ in range(9)]
    assert Counter(order) == {"a.test": 3, "b.test": 3, "c.test": 3}


def test_parked_mail_does_not_starve_what_is_due() -> None:
    waits = waiting(initial_concurrency=20, concurrency=20)
    fill(waits, "a.test", 10)
    for number in range(100, 105):
        waits.push(NOW_MS, name(number).text)
    taken = [waits.next(NOW_MS, NOW) for _ in range(10)]
    assert sum(job.seat is None for job in taken) == 5


def test_a_rate_lets_one_go_after_the_other() -> None:
    waits = waiting(rate=Rate(1, 10), initial_concurrency=20)
    fill(waits, "a.test", 3)
    assert waits.next(NOW_MS, NOW) is not None
    assert waits.next(NOW_MS, NOW) is None
    assert waits.seconds(NOW_MS, NOW) == pytest.approx(10.0)
    assert waits.next(NOW_MS, NOW + 9) is None
    assert waits.next(NOW_MS, NOW + 10.001) is not None
    gate = waits.gates(name(2).text, NOW_MS, NOW + 11)[0]
    assert gate.kind == "rate" and gate.until is not None


def test_a_suspended_site_waits_until_it_is_resumed() -> None:
    waits = waiting()
    waits.sites.suspensions.suspend(Suspension("a.test", None, "blocked"))
    site = fill(waits, "a.test", 2)
    fill(waits, "b.test", 1, start=10)
    taken = waits.next(NOW_MS, NOW)
    assert taken is not None and taken.seat.name == "b.test"
    assert waits.next(NOW_MS, NOW + 60) is None
    (gate,) = waits.gates(name(0).text, NOW_MS, NOW)
    assert (gate.kind, str(gate)) == ("suspended", "suspended: a.test is suspended (blocked)")
    waits.sites.suspensions.resume("a.test")
    waits.left(site, NOW + 60)
    assert waits.next(NOW_MS, NOW + 60) is not None


def test_a_domain_with_a_section_of_its_own_is_counted_apart() -> None:
    limits = Limits(LimitSettings(), {"big.test": LimitSettings(concurrency=1)})
    sites = Sites(limits, Suspensions(None), lambda: 100)
    assert sites.of("big.test", "provider.test", False).name == "big.test"
    assert sites.of("other.test", "provider.test", False).name == "provider.test"
    assert (sites.of("big.test", "", False).concurrency, sites.of("x.test", "x.test", False).concurrency) == (
        1,
        5,
    )
    sites.suspensions.suspend(Suspension("other.test"))
    assert sites.of("other.test", "provider.test", False).name == "other.test"


@pytest.mark.parametrize(
    ("chosen", "concurrency", "expected"), [(False, 0, 20), (True, 0, 100), (True, 7, 7), (False, 70, 70)]
)
def test_most_deliveries_at_a_time(chosen: bool, concurrency: int, expected: int) -> None:
    limits = Limits(LimitSettings(concurrency=concurrency), {})
    assert limits.concurrency("a.test", chosen, 100) == expected


def test_a_site_that_does_not_answer_rests_and_is_open_for_those_who_only_ask() -> None:
    site = site_of(waiting(unreachable_wait=60), "a.test")
    fails = 0
    while not site.failed("refused", NOW):
        fails += 1
    assert site.rest(NOW + 1) == pytest.approx(59)
    assert site.wait(NOW + 1) == 0
    gate = site.gate(NOW + 1)
    assert gate is not None and (gate.kind, gate.text) == ("resting", "a.test does not answer: refused")
    assert site.rest(NOW + 61) == 0
    site.failed("refused", NOW)
    site.succeeded()
    assert site.rest(NOW) == 0


def test_held_entries_wait_for_ever() -> None:
    waits = waiting()
    waits.push(HELD_MS, name(1, HELD_MS).text)
    waits.flush(NOW)
    assert waits.next(NOW_MS * 1000, NOW) is None
    assert [gate.kind for gate in waits.gates(name(1, HELD_MS).text, NOW_MS, NOW)] == ["held"]
    assert waits.counts() == {"scheduled": 0, "held": 1, "ready": 0, "parked": 0}
    job = waits.take(name(1, HELD_MS).text)
    assert job is not None and job.name.is_held and len(waits) == 0


def test_an_entry_can_be_taken_out_of_every_place() -> None:
    waits = waiting(initial_concurrency=1)
    site = fill(waits, "a.test", 2)
    waits.push(NOW_MS + 9000, name(10).text)
    waits.add_ready(Job(NOW_MS, name(11)))
    assert sorted(waits.names()) == sorted(name(number).text for number in (0, 1, 10, 11))
    for number in (0, 1, 10, 11):
        assert waits.take(name(number).text).name == name(number)
        assert waits.take(name(number).text) is None
    assert len(waits) == 0 and not site.parked
    assert waits.next(NOW_MS * 2, NOW) is None


def test_gates_of_what_waits_for_its_time() -> None:
    waits = waiting()
    waits.push(NOW_MS + 9000, name(1).text)
    waits.push(NOW_MS - 1, name(2).text)
    (gate,) = waits.gates(name(1).text, NOW_MS, NOW)
    assert (gate.kind, gate.until) == ("backoff", (NOW_MS + 9000) / 1000)
    assert waits.gates(name(2).text, NOW_MS, NOW) == []
    assert waits.gates(name(3).text, NOW_MS, NOW) is None


def test_sites_that_are_not_in_use_are_dropped_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites_module, "MAX_SITES", 10)
    waits = waiting()
    for number in range(12):
        site_of(waits, f"s{number}.test")
    fill(waits, "s0.test", 1)
    site_of(waits, "s1.test").enter(NOW)
    assert waits.sites.forget_idle(NOW)
    assert sorted(site.name for site in waits.sites) == ["s0.test", "s1.test"]
    assert not waits.sites.forget_idle(NOW)
