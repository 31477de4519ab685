"""Rates, on a clock that the test turns."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mta.config.rate import Rate
from mta.outbound.pace import Pace


def sent(rate: Rate, seconds: float, *, start: float = 1000.0) -> list[float]:
    """When messages go if there is always one that waits."""
    pace, now, times = Pace(rate), start, []
    while now < start + seconds:
        wait = pace.wait(now)
        if wait:
            now += wait
            continue
        times.append(now - start)
        pace.take(now)
    return times


@pytest.mark.parametrize(
    ("rate", "seconds", "least", "most"),
    [
        (Rate(10, 1), 10, 100, 111),
        (Rate(60, 60), 60, 60, 61),
        (Rate(250, 3600), 3600, 250, 251),
        (Rate(1, 3600), 7200, 2, 3),
    ],
)
def test_as_many_go_as_the_rate_says(rate: Rate, seconds: float, least: int, most: int) -> None:
    assert least <= len(sent(rate, seconds)) <= most


def test_slow_rates_are_even() -> None:
    times = sent(Rate(6, 60), 60)
    assert [round(later - earlier, 6) for earlier, later in pairwise(times)] == [10.0] * (len(times) - 1)


def test_what_was_not_used_is_not_saved_up() -> None:
    pace = Pace(Rate(100, 1))
    now = 5000.0
    burst = 0
    while not pace.wait(now):
        pace.take(now)
        burst += 1
    assert burst <= 101
