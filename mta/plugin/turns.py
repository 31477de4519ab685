"""How long each turn of the event loop holds it: counts since the start, and the longest one with its place if that is known."""

from __future__ import annotations

from bisect import bisect_left
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Any

import gevent

from mta.net.turn import turn_of_loop

if TYPE_CHECKING:
    from mta.plugin.whereabouts import Whereabouts

BOUNDS = (1, 2, 5, 10, 20, 50, 100)  # upper bounds in milliseconds; the last column is what took longer
LONGER = "more"
COLUMNS = (*map(str, BOUNDS), LONGER)
SHORT = BOUNDS[0] / 1000
LAST = -2  # the lowest priority of libev's watchers


class Durations:
    """How many were how long. Those of the first column are not added one by one: there are too many.

    longest: seconds.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._long = [0] * len(COLUMNS)

    def add(self, seconds: float) -> bool:
        """Count one that is longer than SHORT; True when none was longer before."""
        self._long[column(seconds)] += 1
        longest = seconds > self.longest
        if longest:
            self.longest = seconds
        return longest

    def as_values(self, count: int) -> dict[str, Any]:
        """As JSON values: `histogram` by upper bound in milliseconds, `longest` in seconds. count: of all there were."""
        counts = [count - sum(self._long), *self._long[1:]]
        return {"histogram": dict(zip(COLUMNS, counts, strict=True)), "longest": round(self.longest, 4)}


class Turns:
    """Watches the event loop of the thread that start() is called in.

    held: by the clock. computed: by processor time, for a machine that has others to serve makes a turn longer than it is.
    longest_at: where the longest one was, by the clock; None when nobody saw it.
    seen: what a watchdog sets while a turn goes on: the number of the turn, and where it is.

    libev calls us last before it waits again: since it came back from the kernel the loop was held. That takes 0.4 µs a turn, and
    there are 4 turns for a message if one client is connected, 0.4 if ten keep the server busy. Short turns are not even
    counted, for libev counts all.
    """

    def __init__(self) -> None:
        self.held = Durations()
        self.computed = Durations()
        self.longest_at: Whereabouts | None = None
        self.seen: tuple[int, Whereabouts] | None = None
        self._loop: Any = None
        self._first = self._last = 0

    def start(self) -> None:
        """Begin."""
        self._loop = gevent.get_hub().loop
        self._first = self._loop.iteration
        self._turn = turn_of_loop()
        self._end = self._loop.prepare(ref=False, priority=LAST)
        self._end.start(self._on_end)

    def stop(self) -> None:
        """End; what was counted stays."""
        self._last = self._loop.iteration
        self._end.stop()
        self._end.close()
        self._loop = None

    @property
    def began(self) -> float:
        """When this turn began, by time.monotonic()."""
        return self._turn.began

    def as_values(self) -> dict[str, Any]:
        """As JSON values: those of Durations, `longest_at` as fields of a log line, and under `cpu` Durations of processor time."""
        count = (self._last if self._loop is None else self._loop.iteration) - self._first
        where = self.longest_at
        return {
            **self.held.as_values(count),
            "longest_at": {"plugin": where.plugin, **where.fields()} if where else {},
            "cpu": self.computed.as_values(count),
        }

    def _on_end(self) -> None:
        held = monotonic() - self._turn.began
        if held > SHORT:
            self._count(held, thread_time() - self._turn.computed)

    def _count(self, held: float, computed: float) -> None:
        if computed > SHORT:
            self.computed.add(computed)
        if self.held.add(held):
            seen = self.seen
            self.longest_at = seen[1] if seen and seen[0] == self._loop.iteration else None


def column(seconds: float) -> int:
    """The place among COLUMNS of a turn that took so long."""
    return bisect_left(BOUNDS, seconds * 1000)
