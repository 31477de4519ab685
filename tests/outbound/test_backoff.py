"""The retry schedule: Haraka's doubling table, the operator's own, and giving up."""

import pytest

from mta.config.schema import OutboundSettings
from mta.outbound.backoff import delay, doubling, schedule


def test_default_table_is_haraka_s() -> None:
    expected = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
    assert doubling(13) == expected
    assert sum(expected) == 262080


@pytest.mark.parametrize(("failures", "count"), [(0, 0), (1, 0), (2, 1), (13, 12)])
def test_max_failures_allows_one_wait_fewer(failures: int, count: int) -> None:
    assert len(doubling(failures)) == count


def test_no_wait_is_longer_than_48_days() -> None:
    assert max(doubling(60)) == 2**22


@pytest.mark.parametrize(("intervals", "waits"), [(None, (64, 128)), ((), ()), ((5, 7), (5, 7))])
def test_the_operator_s_own_schedule_counts(
    intervals: tuple[int, ...] | None, waits: tuple[int, ...]
) -> None:
    assert schedule(OutboundSettings(max_temp_failures=3, temp_fail_intervals=intervals)) == waits


@pytest.mark.parametrize(("failures", "expected"), [(1, 60), (2, 300), (3, None), (0, None)])
def test_delay_gives_up_after_the_last_wait(failures: int, expected: int | None) -> None:
    assert delay(failures, (60, 300)) == expected


def test_no_waits_means_bounce_on_the_first_failure() -> None:
    assert delay(1, ()) is None
