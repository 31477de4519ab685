"""When a mail is given up: its age, DELIVERBY, schedules by domain, jitter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mta.config.schema import OutboundSettings, ReportSettings
from mta.outbound.backoff import MIN_WAIT, gives_up_at, jittered, retries_until
from mta.outbound.settle import Later
from mta.plugin.verdict import DENYSOFT
from tests.support.desk import LATER, NEVER, SETTINGS, TAKEN, Desk, Spy
from tests.support.outbound import queue_files, todo_for

HOUR, DAY = 3600, 86400
QUIET = replace(SETTINGS, reports=ReportSettings(delay_warning=0))


@pytest.fixture
def make(tmp_path: Path) -> Iterator:
    with ExitStack() as stack:

        def make(spy: Spy | None = None, waits: tuple[int, ...] = (HOUR,) * 9, **settings: object) -> Desk:
            desk = Desk(tmp_path / "queue", spy or Spy(), waits, replace(QUIET, **settings))
            stack.callback(desk.spool.close)
            return desk

        yield make


def wait_of(later: Later | None) -> float:
    assert later is not None
    return later.due_ms / 1000 - time.time()


def test_the_next_attempt_is_made_at_the_maximum_age(make) -> None:
    desk = make(maximum_age=DAY)
    later = desk.settle(desk.mail("joe@b.test", age=DAY - 600), {"joe@b.test": LATER})
    assert 590 < wait_of(later) <= 600
    assert desk.bounces == []


@pytest.mark.parametrize("past", [-0.5, 0, 600, 10 * DAY])
def test_a_deferral_at_that_age_bounces_as_expired(make, past: float) -> None:
    spy = Spy()
    desk = make(spy, maximum_age=DAY)
    assert desk.settle(desk.mail("joe@b.test", age=DAY + past), {"joe@b.test": LATER}) is None
    assert desk.reports() == [("sender@a.test", [("joe@b.test", "failed", "5.4.7")])]
    assert b"Delivery time expired (450 4.2.0 greylisted)" in desk.bounces[0][2]
    assert desk.logged("recipient <joe@b.test> rejected: Delivery time expired")[0].count("category=expired")
    assert [(hook, failure.category) for hook, failure in spy.told] == [("bounce", "expired")]
    assert desk.settler.counters.expired == 1


def test_who_is_delivered_or_refused_at_that_age_is_so(make) -> None:
    desk = make(maximum_age=DAY)
    desk.settle(desk.mail("a@b.test", "b@b.test", age=2 * DAY), {"a@b.test": TAKEN, "b@b.test": NEVER})
    assert desk.reports() == [("sender@a.test", [("b@b.test", "failed", "5.1.1")])]


def test_the_schedule_rules_when_it_is_shorter(make) -> None:
    desk = make(waits=(60,), maximum_age=DAY)
    assert 58 < wait_of(desk.settle(desk.mail("joe@b.test"), {"joe@b.test": LATER})) <= 60
    desk.settle(desk.mail("ann@b.test", attempts=1), {"ann@b.test": LATER})
    assert desk.reports() == [("sender@a.test", [("ann@b.test", "failed", "5.2.0")])]


def test_no_maximum_age(make) -> None:
    desk = make(maximum_age=0)
    later = desk.settle(desk.mail("joe@b.test", age=365 * DAY), {"joe@b.test": LATER})
    assert HOUR - 2 < wait_of(later) <= HOUR


def test_a_plugin_can_not_put_a_mail_off_for_longer(make) -> None:
    desk = make(Spy(deferred=(DENYSOFT, 7 * DAY)), maximum_age=DAY)
    later = desk.settle(desk.mail("joe@b.test", age=HOUR), {"joe@b.test": LATER})
    assert 23 * HOUR - 2 < wait_of(later) <= 23 * HOUR


def test_held_mail_is_as_old_as_its_release(make) -> None:
    desk = make(maximum_age=DAY)
    released = int((time.time() - HOUR) * 1000)
    later = desk.settle(desk.mail("joe@b.test", age=9 * DAY, hold_until=released), {"joe@b.test": LATER})
    assert HOUR - 2 < wait_of(later) <= HOUR


def test_partial_delivery_keeps_age_and_attempts(make) -> None:
    desk = make(maximum_age=DAY)
    hmail = desk.mail("a@b.test", "b@b.test", age=DAY - HOUR - 100, attempts=3)
    arrival = hmail.todo.queue_time
    later = desk.settle(hmail, {"a@b.test": TAKEN, "b@b.test": LATER})
    again = desk.load(later.name)
    assert (again.todo.queue_time, again.num_failures) == (arrival, 4)
    again.todo.queue_time -= 2 * HOUR * 1000
    assert desk.settle(again, {"b@b.test": LATER}) is None
    assert desk.reports() == [("sender@a.test", [("b@b.test", "failed", "5.4.7")])]


# -- DELIVERBY


def test_by_mode_r_bounces_when_its_time_is_up(make) -> None:
    desk = make()
    later = desk.settle(desk.mail("joe@b.test", params={"BY": "120;R"}, age=20), {"joe@b.test": LATER})
    assert 98 < wait_of(later) <= 100
    assert (
        desk.settle(desk.mail("ann@b.test", params={"BY": "120;r"}, age=120), {"ann@b.test": LATER}) is None
    )
    assert desk.reports() == [("sender@a.test", [("ann@b.test", "failed", "5.4.7")])]


def test_by_mode_n_tells_once_and_goes_on(make) -> None:
    desk = make()
    early = desk.settle(desk.mail("joe@b.test", params={"BY": "120;N"}, age=20), {"joe@b.test": LATER})
    assert 98 < wait_of(early) <= 100
    assert desk.bounces == []
    hmail = desk.mail("ann@b.test", params={"BY": "120;N"}, age=120)
    later = desk.settle(hmail, {"ann@b.test": LATER})
    assert HOUR - 2 < wait_of(later) <= HOUR
    assert desk.reports() == [("sender@a.test", [("ann@b.test", "delayed", "4.2.0")])]
    assert desk.load(later.name).todo.told == {"late"}
    last = desk.settle(desk.load(later.name), {"ann@b.test": LATER})
    assert HOUR - 2 < wait_of(last) <= HOUR
    assert len(desk.bounces) == 1


def test_by_mode_n_in_the_past_tells_at_once(make) -> None:
    desk = make()
    desk.settle(desk.mail("joe@b.test", params={"BY": "-5;N"}), {"joe@b.test": LATER})
    assert desk.reports() == [("sender@a.test", [("joe@b.test", "delayed", "4.2.0")])]


@pytest.mark.parametrize("value", ["", "x", "5", "5;X", None, "99999999999;R"])
def test_a_strange_by_in_a_queue_file_says_nothing(value: str | None) -> None:
    todo = todo_for(["joe@b.test"])
    todo.extra["mail_params"] = {"BY": value}
    assert todo.deliver_by is None
    assert gives_up_at(todo, 0) is None


# -- schedules and jitter


def test_each_domain_may_have_its_schedule(make) -> None:
    desk = make()
    desk.settler.waits_for = lambda domain: {"b.test": (77,)}.get(domain, ())
    assert 75 < wait_of(desk.settle(desk.mail("joe@b.test"), {"joe@b.test": LATER})) <= 77
    hmail = desk.mail("ann@b.test")
    hmail.todo.domain = "c.test"
    assert desk.settle(hmail, {"ann@b.test": LATER}) is None


def test_jitter_stays_within_its_bounds_and_uses_them() -> None:
    waits = [jittered(1000, 10) for _ in range(400)]
    assert 900 <= min(waits) < 930 and 1070 < max(waits) <= 1100
    assert jittered(1000, 0) == 1000
    assert min(jittered(5, 50) for _ in range(100)) == MIN_WAIT


def test_jitter_is_on_by_default_and_reaches_the_name(make) -> None:
    assert OutboundSettings().retry_jitter == 10
    desk = make(retry_jitter=50)
    waits = [wait_of(desk.settle(desk.mail(f"{n}@b.test"), {f"{n}@b.test": LATER})) / HOUR for n in range(20)]
    assert min(waits) > 0.49 and max(waits) <= 1.5
    assert max(waits) - min(waits) > 0.1
    assert {int(name.split("_")[2]) for name in queue_files(desk.directory)} == {1}


@pytest.mark.parametrize(
    ("failures", "end", "until"),
    [(1, None, 1060), (2, None, 1050), (3, None, 1030), (4, None, 1000), (1, 1020, 1020), (1, 9999, 1060)],
)
def test_until_when_it_is_tried(failures: int, end: float | None, until: float) -> None:
    assert retries_until(1000, failures, (10, 20, 30), end) == until
