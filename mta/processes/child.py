"""A worker as its master knows it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from gevent.monkey import get_original

READY = b"ok\n"
MAX_REPORT = 4096  # bytes; a pipe takes so many at once

_close: Callable[[int], None] = get_original("os", "close")


class State(Enum):
    """Where a worker stands: not ready yet; takes clients; takes none any more, and finishes what it has."""

    STARTING = "starting"
    SERVING = "serving"
    RETIRING = "retiring"


@dataclass(slots=True)
class Child:
    """A worker that was forked. report: where it says that it is ready, or why it can not start. line: its one on the board.

    began: by time.monotonic(), after a pause of so many seconds. until: when it is ended by force, None: not; why: the
    reason then. said: why it can not start.
    """

    pid: int
    slot: int
    report: int
    line: int
    began: float
    pause: float = 0.0
    state: State = State.STARTING
    until: float | None = None
    why: str = ""
    said: str = ""

    def hear(self) -> None:
        """Read its report, which is there or never will be, and take it down."""
        said = b""
        with suppress(OSError):
            said = os.read(self.report, MAX_REPORT)
        self.close()
        if said == READY:
            self.state = State.SERVING
            self.until = None
        else:
            self.said = said.decode(errors="replace").strip()

    def close(self) -> None:
        """Hear no more of it."""
        fd, self.report = self.report, -1
        if fd >= 0:
            _close(fd)


def report(fd: int, text: bytes) -> None:
    """In the child: say READY, or why it can not start."""
    with suppress(OSError):  # the master has ended
        os.write(fd, text[:MAX_REPORT])
        _close(fd)
