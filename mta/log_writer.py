"""Gets log lines to a file descriptor without ever making a greenlet wait for whoever reads it."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from mta.log_backlog import MAX_WAITING, Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SLICE = 64 * 1024  # bytes per write: the size of a pipe on Linux, so that a slow reader sees progress
_ATOMIC = select.PIPE_BUF  # bytes that a pipe takes in one piece, whoever else writes to it (pipe(7))


def plain_notice(dropped: int) -> str:
    """What is said about dropped lines where no other form is asked for."""
    return f"{dropped} log lines were dropped: whoever reads the log is too slow or gone"


def _pieces(data: bytes) -> Iterator[bytes]:
    """Whole lines, as many as a pipe takes in one piece; a longer line alone."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _ATOMIC) + 1 or data.index(b"\n", start) + 1
        yield data[start:end]
        start = end


class LogWriter(Backlog[str]):
    """Collects lines and writes them every `interval` seconds from a thread, which lives while there are any.

    At most `max_waiting` characters wait; lines over that are dropped and counted, and the line made by
    `dropped_line(count)` follows as soon as there is room again. After a fork the child starts with no lines, the
    parent writes those that were waiting. write() may be called from any thread and from signal handlers.
    What still waits when the process exits is flushed; close() leaves the descriptor open. shared: other processes
    write there as well, and lines up to 4096 bytes must not be torn apart by theirs.
    """

    def __init__(
        self,
        fd: int,
        *,
        interval: float = 0.05,
        max_waiting: int = MAX_WAITING,
        dropped_line: Callable[[int], str] = plain_notice,
        shared: bool = False,
    ) -> None:
        self._fd = fd
        self._dropped_line = dropped_line
        self._shared = shared
        super().__init__(interval, max_waiting)

    def write(self, line: str) -> None:
        """Hand over one line, without its line end. Never blocks, never raises for what the descriptor does."""
        self.put(line, len(line))

    def _deliver(self, items: list[str], dropped: int) -> None:
        told = [self._dropped_line(dropped)] if dropped else []
        data = "\n".join([*items, *told, ""]).encode("utf-8", "backslashreplace")
        for piece in _pieces(data) if self._shared else (data,):
            self._write_out(piece)

    def _write_out(self, data: bytes) -> None:
        """Write everything, however long it takes; what the descriptor refuses for good counts as dropped."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest[:_SLICE]) :]
            except BlockingIOError:  # somebody made the descriptor non-blocking, as terminals often are
                self._pause()
            except OSError:
                self._lose(bytes(rest).count(b"\n"))
                return
