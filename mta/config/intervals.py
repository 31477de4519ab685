"""Spans of time as operators write them: `5d`, and the waits between delivery attempts, `1m, 5m*2`."""

from __future__ import annotations

import re

MIN_SECONDS = 5
MAX_SECONDS = 365 * 86400
MAX_INTERVALS = 10_000

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_COUNT = re.compile(r"\d+", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Intervals = tuple[int, ...] | None
"""Seconds to wait after the first, second ... failure; None leaves the schedule to maxTempFailures."""


def parse_intervals(text: str) -> Intervals:
    """Read a comma list of `NUM UNIT [* COUNT]` with unit s, m, h or d, such as `1m, 5m*2, 1h*3`.

    `none` is no retry at all, an empty text is None. Raises ValueError naming the element and what is wrong with it.
    """
    squeezed = "".join(text.split()).lower()
    if not squeezed:
        return None
    waits: list[int] = []
    for position, element in enumerate(squeezed.split(",") if squeezed != "none" else (), start=1):
        try:
            waits += _element(element)
            if len(waits) > MAX_INTERVALS:
                raise ValueError(f"more than {MAX_INTERVALS} intervals")
        except ValueError as error:
            raise ValueError(f'syntax error in element {position}: {error} in "{element}"') from None
    return tuple(waits)


def show_intervals(waits: Intervals) -> str:
    """The same in words that parse_intervals reads."""
    if waits is None:
        return ""
    return ", ".join(f"{wait}s" for wait in waits) or "none"


def parse_span(text: str) -> int:
    """Read one span, `4h` or `90` (seconds), as seconds; `0` is none. Raises ValueError."""
    squeezed = "".join(text.split()).lower()
    if _COUNT.fullmatch(squeezed):
        squeezed += "s"
    if len(squeezed) < 2 or squeezed[-1] not in _SECONDS or not _NUMBER.fullmatch(squeezed[:-1]):
        raise ValueError(f"{text!r} is not a span of time")
    seconds = float(squeezed[:-1]) * _SECONDS[squeezed[-1]]
    if seconds and not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise ValueError(f"{text!r} is not between {MIN_SECONDS} seconds and 365 days")
    return int(seconds)


def show_span(seconds: int) -> str:
    """The same in words that parse_span reads, in the largest unit that fits."""
    for unit, size in sorted(_SECONDS.items(), key=lambda item: -item[1]):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return "0"


def _element(element: str) -> list[int]:
    span, *counts = element.split("*")
    if len(counts) > 1:
        raise ValueError("too many *")
    count = _count(counts[0]) if counts else 1
    return [_seconds(span)] * count


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text) or len(text) > 9:
        raise ValueError("multiplier is not an integer")
    count = int(text)
    if not 0 < count <= MAX_INTERVALS:
        raise ValueError(f"multiplier is not between 1 and {MAX_INTERVALS}")
    return count


def _seconds(span: str) -> int:
    if len(span) < 2:
        raise ValueError("invalid time span" if span else "nothing specified")
    number, unit = span[:-1], span[-1]
    if not _NUMBER.fullmatch(number):
        raise ValueError("invalid number or symbol")
    if unit not in _SECONDS:
        raise ValueError("invalid time span symbol")
    seconds = float(number) * _SECONDS[unit]
    if seconds < MIN_SECONDS:
        raise ValueError(f"delay time too small, should be >={MIN_SECONDS} seconds")
    if seconds > MAX_SECONDS:
        raise ValueError("delay time too large, should be <=365 days")
    return int(seconds)
