"""Workers that have died and are to be replaced: at once, or after a pause that grows when they do not live long."""

from __future__ import annotations

import time
from collections.abc import Iterator

LONG_LIFE = 10.0  # seconds; a worker that lived so long is replaced at once
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


def pause_after(lived: float, last: float) -> float:
    """Seconds to wait before a worker is replaced that lived so long; last: the wait before it was started itself."""
    return 0.0 if lived >= LONG_LIFE else min(max(2 * last, FIRST_PAUSE), LONGEST_PAUSE)


class Replacements:
    """Which slots wait for a worker, and how long. Times are seconds."""

    def __init__(self) -> None:
        self._due: dict[int, tuple[float, float]] = {}  # by slot: when it is replaced, after what pause

    def put_off(self, slot: int, lived: float, last: float) -> None:
        """A worker that waited `last` to be started has ended after so long."""
        pause = pause_after(lived, last)
        self._due[slot] = time.monotonic() + pause, pause

    def cancel(self, slot: int) -> None:
        """The slot has a worker."""
        self._due.pop(slot, None)

    def clear(self) -> None:
        """Nobody is replaced any more."""
        self._due.clear()

    def seconds(self) -> float | None:
        """Until the next one is due; None when there is none."""
        now = time.monotonic()
        return min((max(due - now, 0.0) for due, _ in self._due.values()), default=None)

    def due(self) -> Iterator[tuple[int, float]]:
        """Take the slots whose time has come, each with its pause."""
        now = time.monotonic()
        for slot, (due, pause) in list(self._due.items()):
            if due <= now:
                del self._due[slot]
                yield slot, pause
