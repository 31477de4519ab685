"""Notices when somebody sets the wall clock."""

from __future__ import annotations

import time

TOLERANCE_MS = 5000  # what ntpd corrects little by little is no jump


class WallClock:
    """Compares the wall clock with the one that counts from boot, sleep of the machine included."""

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = _offset()

    def jump(self) -> int:
        """By how many milliseconds the wall clock was set since the last call; 0 when it was not."""
        offset = _offset()
        by_ms = int((offset - self._offset) * 1000)
        if abs(by_ms) < TOLERANCE_MS:
            return 0
        self._offset = offset
        return by_ms


def _offset() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
