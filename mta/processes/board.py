"""Figures of all workers in memory that they share: each writes its own line, the master and every worker read all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from mmap import mmap

GAUGES = (
    "connections",
    "in_progress",
    "scheduled",
    "ready",
    "parked",
    "held",
    "memory",
)
"""What is so at the moment; memory in bytes, the rest are numbers of things."""

COUNTERS = (
    "accepted",
    "turned_away",
    "received",
    "put_off",
    "rejected",
    "recipients",
    "delivered",
    "deferred",
    "failed",
    "bounced",
)
"""What only grows: connections accepted and turned away; messages received, put off (4xx) and rejected (5xx); recipients
that clients named; those delivered, deferred, failed, and failed ones whose sender was told."""

FIELDS = GAUGES + COUNTERS
BEAT, SLOT, FIRST = (
    0,
    1,
    2,
)  # places in a line: when it was written, by time.monotonic() in ms; slot + 1; the fields
WIDTH = FIRST + len(FIELDS)
NOBODY = 0

Figures = Mapping[str, int]


class Board:
    """So many lines. Made before the fork; a number is written in one piece, so nobody waits for anybody."""

    def __init__(self, lines: int) -> None:
        self._numbers = memoryview(mmap(-1, (lines + 1) * WIDTH * 8)).cast("Q")
        self._ended = lines  # the last line: what those have counted that have ended
        self.lines = lines

    def take(self, slot: int) -> int:
        """A free line for a worker of that slot, all zero; give it back with free()."""
        line = next(line for line in range(self.lines) if self._at(line, SLOT) == NOBODY)
        start = line * WIDTH
        self._numbers[start : start + WIDTH] = memoryview(bytes(WIDTH * 8)).cast("Q")
        self._numbers[start + SLOT] = slot + 1
        return line

    def free(self, line: int) -> None:
        """A worker has ended: what it has counted stays in the sums."""
        ended, last = self.read(self._ended), self.read(line)
        self.write(self._ended, {**ended, **{name: ended[name] + last[name] for name in COUNTERS}})
        self._numbers[line * WIDTH + SLOT] = NOBODY

    def write(self, line: int, figures: Figures) -> None:
        """Put a worker's figures down, all FIELDS of them."""
        start = line * WIDTH
        for place, name in enumerate(FIELDS, start + FIRST):
            self._numbers[place] = figures[name]
        self._numbers[start + BEAT] = _now_ms()

    def read(self, line: int) -> dict[str, int]:
        """What a worker has written last."""
        start = line * WIDTH + FIRST
        return dict(zip(FIELDS, self._numbers[start : start + len(FIELDS)], strict=True))

    def silent_for(self, line: int) -> float | None:
        """Seconds since a worker has written; None before it did."""
        beat = self._at(line, BEAT)
        return (_now_ms() - beat) / 1000 if beat else None

    def sums(self) -> dict[str, int]:
        """The figures of all workers together, with what those have counted that have ended."""
        taken = [line for line in range(self.lines) if self._at(line, SLOT) != NOBODY]
        return added(self.read(line) for line in (*taken, self._ended))

    def ended(self) -> dict[str, int]:
        """What those have counted that have ended."""
        return self.read(self._ended)

    def _at(self, line: int, place: int) -> int:
        return self._numbers[line * WIDTH + place]


def added(all_figures: Iterable[Figures]) -> dict[str, int]:
    """Figures added up, field by field; what is missing counts as 0."""
    each = list(all_figures)
    return {name: sum(figures.get(name, 0) for figures in each) for name in FIELDS}


def _now_ms() -> int:
    return int(time.monotonic() * 1000)
