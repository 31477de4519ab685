"""When to try again: the retry schedule, and one place in it."""

from __future__ import annotations

from mta.config.schema import OutboundSettings

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
