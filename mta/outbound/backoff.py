"""When to try again: the retry schedule, and one place in it."""

from __future__ import annotations

import re

MIN_SECONDS = 5
MAX_SECONDS = 365 * 86400
MAX_INTERVALS = 10_000
_LONGEST_DOUBLING = 22  # 2^22 s is 48 days: longer waits help nobody

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_COUNT = re.compile(r"\d+", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class BackoffError(ValueError):
    """temp_fail_intervals can not be understood; the text names the element and what is wrong with it."""


def intervals(text: str, max_failures: int) -> tuple[int, ...]:
    """The seconds to wait after the first, second ... temporary failure.

    text: outbound.ini temp_fail_intervals, a comma list of `NUM UNIT [* COUNT]` with unit s, m, h or d, for example
    `1m, 5m*2, 1h*3`; `none` for no retry at all; empty for 64 s, 128 s ... 2^(n+5), one fewer than max_failures.
    Raises BackoffError.
    """
    squeezed = "".join(text.split()).lower()
    if not squeezed:
        return doubling(max_failures)
    if squeezed == "none":
        return ()
    waits: list[int] = []
    for position, element in enumerate(squeezed.split(","), start=1):
        try:
            waits += _element(element)
            if len(waits) > MAX_INTERVALS:
                raise BackoffError(f"more than {MAX_INTERVALS} intervals")
        except BackoffError as error:
            raise BackoffError(
                f'temp_fail_intervals syntax error parsing element {position}: {error} in "{element}"'
            ) from None
    return tuple(waits)


def doubling(max_failures: int) -> tuple[int, ...]:
    """64 s, 128 s, 256 s ...: as many waits as leave `max_failures` attempts."""
    count = min(max_failures, MAX_INTERVALS)
    return tuple(2 ** min(n + 5, _LONGEST_DOUBLING) for n in range(1, count))


def delay(failures: int, waits: tuple[int, ...]) -> int | None:
    """Seconds to wait after that many failures (1 after the first attempt); None when it is time to give up."""
    return waits[failures - 1] if 0 < failures <= len(waits) else None


def _element(element: str) -> list[int]:
    span, *counts = element.split("*")
    if len(counts) > 1:
        raise BackoffError("too many *")
    count = _count(counts[0]) if counts else 1
    return [_seconds(span)] * count


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text) or len(text) > 9:
        raise BackoffError("multiplier is not an integer")
    count = int(text)
    if not 0 < count <= MAX_INTERVALS:
        raise BackoffError(f"multiplier is not between 1 and {MAX_INTERVALS}")
    return count


def _seconds(span: str) -> int:
    if len(span) < 2:
        raise BackoffError("invalid time span" if span else "nothing specified")
    number, unit = span[:-1], span[-1]
    if not _NUMBER.fullmatch(number):
        raise BackoffError("invalid number or symbol")
    if unit not in _SECONDS:
        raise BackoffError("invalid time span symbol")
    seconds = float(number) * _SECONDS[unit]
    if seconds < MIN_SECONDS:
        raise BackoffError(f"delay time too small, should be >={MIN_SECONDS} seconds")
    if seconds > MAX_SECONDS:
        raise BackoffError("delay time too large, should be <=365 days")
    return int(seconds)
