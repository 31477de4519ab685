"""Hosts that could not be reached are asked last, for a time that grows."""

from __future__ import annotations

import errno

import pytest

from mta.net import host_health
from mta.net.host_health import HostHealth, is_our_own
from mta.net.next_hop import NextHop
from tests.support.plugins import logger_and_lines

A, B, C = NextHop("192.0.2.1"), NextHop("192.0.2.2"), NextHop("192.0.2.3")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_hosts_that_are_down_come_last_and_none_is_left_out(clock: Clock) -> None:
    health = HostHealth(logger_and_lines()[0], clock=clock)
    health.failed(A, "refused")
    assert list(health.up_first([A, B, C])) == [B, C, A]
    assert list(health.up_first([A])) == [A]
    assert health.down() == ["192.0.2.1:25"]
    assert not health.is_down(NextHop("192.0.2.1", 587))


def test_each_failure_after_its_time_doubles_it_up_to_a_limit(clock: Clock) -> None:
    health = HostHealth(logger_and_lines()[0], clock=clock)
    for span in (10, 20, 40, 80, 160, 300, 300):
        health.failed(A, "refused")
        health.failed(A, "refused")  # another delivery, at the same time
        clock.now += span - 0.5
        assert health.is_down(A)
        clock.now += 1
        assert not health.is_down(A)
        assert list(health.up_first([A, B])) == [A, B]
    health.succeeded(A)
    health.failed(A, "refused")
    clock.now += 11
    assert not health.is_down(A)


def test_one_delivery_finds_out_whether_a_host_is_up_again(clock: Clock) -> None:
    health = HostHealth(logger_and_lines()[0], clock=clock)
    health.failed(A, "timed out")
    clock.now += 11
    assert [list(health.up_first([A, B])) for _ in range(3)] == [[A, B], [B, A], [B, A]]
    health.failed(A, "timed out")
    clock.now += 19
    assert list(health.up_first([A, B])) == [B, A]
    clock.now += 2
    assert list(health.up_first([A, B])) == [A, B]
    clock.now += 61  # nobody heard of the one who tried
    assert list(health.up_first([A, B])) == [A, B]
    health.succeeded(A)
    assert list(health.up_first([A, B])) == list(health.up_first([A, B])) == [A, B]


def test_the_log_has_one_line_for_each_way(clock: Clock) -> None:
    logger, lines = logger_and_lines()
    health = HostHealth(logger, clock=clock)
    for _ in range(3):
        health.failed(A, "Connection refused")
        clock.now += 400
    health.succeeded(A)
    health.succeeded(A)
    assert [line.split("] ")[-1] for line in lines] == [
        "192.0.2.1:25 is down, asked last for 10 seconds: Connection refused",
        "192.0.2.1:25 is up again after 1200 seconds",
    ]


def test_the_memory_has_a_limit(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_health, "MAX_HOSTS", 2)
    health = HostHealth(logger_and_lines()[0], clock=clock)
    for hop in (A, B, C):
        health.failed(hop, "refused")
    assert health.down() == ["192.0.2.2:25", "192.0.2.3:25"]


def test_sockets_have_places_too(clock: Clock) -> None:
    health = HostHealth(logger_and_lines()[0], clock=clock)
    health.failed(NextHop("", 24, path="/run/lmtp"), "no such file")
    assert health.down() == ["/run/lmtp"]


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (OSError(errno.EMFILE, ""), True),
        (OSError(errno.ECONNREFUSED, ""), False),
        (TimeoutError(), False),
        (None, False),
    ],
)
def test_what_this_machine_ran_out_of_is_no_host_that_is_down(error: OSError | None, ours: bool) -> None:
    assert is_our_own(error) is ours
