"""So much in such a time, for each key."""

from __future__ import annotations

import pytest

from mta.plugin import Rate, RateLimit, rate_limit


class Clock:
    now = 5000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(rate_limit, "time", clock)
    return clock


def taken(limit, key, times):
    return sum(limit.take(key) for _ in range(times))


def test_no_more_than_the_rate_for_each_key(clock):
    limit = RateLimit("3/1m")
    assert limit.rate == Rate(3, 60)
    assert taken(limit, "a", 5) == 3 and taken(limit, "b", 5) == 3


def test_what_was_refused_does_not_count(clock):
    limit = RateLimit(Rate(10, 60))
    assert limit.take("a", 8) and not limit.take("a", 3) and limit.take("a", 2) and not limit.take("a")


@pytest.mark.parametrize("offset", [0, 7, 30, 59])
def test_the_turn_of_a_period_gives_no_second_helping(clock, offset):
    clock.now = 6000.0 + offset
    limit = RateLimit("60/1m")
    assert taken(limit, "a", 100) == 60
    clock.now += 30
    assert taken(limit, "a", 100) <= 60 - 29
    clock.now += 120
    assert taken(limit, "a", 100) == 60


def test_the_rate_is_held_over_a_long_time(clock):
    limit = RateLimit("60/1m")
    allowed = 0
    for _ in range(3600):
        clock.now += 1
        allowed += taken(limit, "a", 3)
    assert 3300 <= allowed <= 3661


def test_the_oldest_keys_are_forgotten(clock):
    limit = RateLimit("1/1h", max_keys=2)
    assert all(limit.take(key) for key in "abc")
    assert not limit.take("c") and not limit.take("b") and limit.take("a")


def test_what_counts_no_more_is_forgotten(clock):
    limit = RateLimit("1/1m")
    assert all(limit.take(number) for number in range(10))
    clock.now += 180
    assert all(limit.take(f"new {number}") for number in range(5))
    assert list(limit._counts) == [f"new {number}" for number in range(5)]


@pytest.mark.parametrize("rate", ["", "many", "0/1h"])
def test_what_is_no_rate(rate):
    with pytest.raises(ValueError):
        RateLimit(rate)
