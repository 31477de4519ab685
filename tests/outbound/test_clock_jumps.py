"""Somebody sets the clock while mail waits.

Back: what waits goes on waiting for as long as it would have, and no hour longer. Forth: what is due by the new time is
attempted, once and within the limits; the old time may have been the wrong one, as after a start without a battery.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mta.config.schema import ReportSettings
from mta.outbound import engine
from tests.support.fake_mx import FakeMx
from tests.support.relay import Relay
from tests.support.server import eventually

HOUR, DAY = 3600, 86_400


@pytest.fixture
def relay(tmp_path: Path, mx: FakeMx) -> Iterator[Relay]:
    # A mail that is a day old all of a sudden would have a warning sent.
    made = Relay(
        tmp_path / "queue", mx, temp_fail_intervals=(2, HOUR, HOUR), reports=ReportSettings(delay_warning=0)
    )
    made.open()
    yield made
    made.stop(0)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A function that sets the wall clock by so many seconds; the engine looks at it often."""
    monkeypatch.setattr(engine, "LONGEST_SLEEP", 0.1)
    real = time.time
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: real() + seconds)


def test_back_an_hour_and_a_retry_is_not_an_hour_late(relay, mx, set_clock) -> None:
    mx.reply("mail", "450 busy", "250 ok")
    relay.outbound.start()
    relay.submit("joe@b.test")
    assert eventually(lambda: [name.attempts for name in relay.entries()] == [1])
    set_clock(-HOUR)
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test"]


def test_back_an_hour_and_nobody_is_hurried(relay, mx, set_clock) -> None:
    for n in range(5):
        relay.put(f"r{n}@b.test", due_in=2 * HOUR)
    relay.spool.close()
    relay.start()
    assert eventually(lambda: relay.outbound.engine.waiting == 5)
    set_clock(-HOUR)
    relay.submit("new@b.test")  # at once, whatever the time
    assert eventually(lambda: mx.rcpts() == ["new@b.test"])
    assert eventually(lambda: relay.logged("the clock was set by -3600"))
    time.sleep(0.3)
    assert mx.rcpts() == ["new@b.test"]


def test_forth_a_day_and_each_is_tried_once(relay, mx, set_clock) -> None:
    mx.reply("rcpt", "450 4.2.0 later")
    for n in range(30):
        relay.put(f"r{n}@b.test", due_in=HOUR, attempts=1)
    relay.spool.close()
    relay.start()
    assert eventually(lambda: relay.outbound.engine.waiting == 30)
    set_clock(DAY)
    assert eventually(lambda: [name.attempts for name in relay.entries()] == [2] * 30)
    time.sleep(0.3)
    assert mx.count("RCPT") == 30
    waits = [name.next_attempt / 1000 - time.time() for name in relay.entries()]
    assert HOUR / 2 < min(waits) <= max(waits) < 2 * HOUR


def test_a_clock_that_was_a_day_slow_at_the_start(relay, mx, set_clock) -> None:
    """The times in the names are right, and the clock was wrong when they were read."""
    relay.put("joe@b.test", due_in=DAY - 10)
    relay.spool.close()
    relay.start()
    assert eventually(lambda: relay.outbound.engine.waiting == 1)
    set_clock(DAY)
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test"]
