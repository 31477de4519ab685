"""When to try again, and when no more: the retry schedule, its jitter, and the moments that limit it."""

from __future__ import annotations

import random

from mta.config.schema import OutboundSettings
from mta.outbound.todo import Todo

MIN_WAIT = 5.0  # seconds; jitter makes no wait shorter
_LONGEST_DOUBLING = 22  # 2^22 s is 48 days: longer waits help nobody


def schedule(settings: OutboundSettings) -> tuple[int, ...]:
    """The seconds to wait after the first, second ... temporary failure: temp_fail_intervals, or the doubling table."""
    if settings.temp_fail_intervals is not None:
        return settings.temp_fail_intervals
    return doubling(settings.max_temp_failures)


def doubling(max_failures: int) -> tuple[int, ...]:
    """64 s, 128 s, 256 s ...: as many waits as leave `max_failures` attempts."""
    return tuple(2 ** min(n + 5, _LONGEST_DOUBLING) for n in range(1, max_failures))


def delay(failures: int, waits: tuple[int, ...]) -> int | None:
    """Seconds to wait after that many failures (1 after the first attempt); None when it is time to give up."""
    return waits[failures - 1] if 0 < failures <= len(waits) else None


def jittered(wait: float, percent: int) -> float:
    """The wait made longer or shorter at random by up to so many percent, never shorter than 5 seconds."""
    if not percent:
        return wait
    return max(MIN_WAIT, wait * (1 + random.uniform(-percent, percent) / 100))


def gives_up_at(todo: Todo, maximum_age: int) -> float | None:
    """When the mail is tried for the last time, in seconds since 1970; None: there is no such moment.

    That is its maximum age (seconds, 0: none), or when its sender wants it back (RFC 2852 4, by-mode R), if sooner.
    """
    moments = [todo.waits_since + maximum_age] if maximum_age else []
    by = todo.deliver_by
    if by is not None and by.returns:
        moments.append(by.moment)
    return min(moments, default=None)


def retries_until(now: float, failures: int, waits: tuple[int, ...], end: float | None) -> float:
    """Until when a mail will be tried that has just failed for the `failures`th time, in seconds since 1970."""
    last = now + sum(waits[failures - 1 :])
    return last if end is None else min(last, end)
