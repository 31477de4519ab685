"""Gets log lines to a file descriptor without ever making a greenlet wait for whoever reads it."""

from __future__ import annotations

import atexit
import os
import select
import time
from typing import TYPE_CHECKING

import gevent
from gevent import monkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_WAITING = 4 * 1024 * 1024  # characters; as many again may be in the hands of the thread
_LINE_COST = 64  # bytes that a str takes besides its characters, so that short lines are bounded too
_SLICE = 64 * 1024  # bytes per write: the size of a pipe on Linux, so that a slow reader sees progress
_ATOMIC = select.PIPE_BUF  # bytes that a pipe takes in one piece, whoever else writes to it (pipe(7))

# The real ones, whether the process is patched or not: the point of the thread is not to be a greenlet.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_RLock = monkey.get_original("_thread", "RLock")
_sleep = monkey.get_original("time", "sleep")


def _plain_notice(dropped: int) -> str:
    return f"{dropped} log lines were dropped: whoever reads the log is too slow or gone"


def _pieces(data: bytes) -> Iterator[bytes]:
    """Whole lines, as many as a pipe takes in one piece; a longer line alone."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _ATOMIC) + 1 or data.index(b"\n", start) + 1
        yield data[start:end]
        start = end


class LogWriter:
    """Collects lines and writes them every `interval` seconds from a thread, which lives while there are any.

    At most `max_waiting` characters wait; lines over that are dropped and counted, and the line made by
    `dropped_line(count)` follows as soon as there is room again. After a fork the child starts with no lines, the
    parent writes those that were waiting. write() may be called from any thread and from signal handlers.
    What still waits when the process exits is flushed. shared: other processes write there as well, and lines up to
    4096 bytes must not be torn apart by theirs.
    """

    def __init__(
        self,
        fd: int,
        *,
        interval: float = 0.05,
        max_waiting: int = MAX_WAITING,
        dropped_line: Callable[[int], str] = _plain_notice,
        shared: bool = False,
    ) -> None:
        self.dropped = 0  # lines, over the life of this process
        self._told = 0  # how many of them the log says
        self._fd = fd
        self._interval = interval
        self._max_waiting = max_waiting
        self._dropped_line = dropped_line
        self._shared = shared
        self._begin()
        atexit.register(self.flush)

    def write(self, line: str) -> None:
        """Hand over one line, without its line end. Never blocks, never raises for what the descriptor does."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            cost = len(line) + _LINE_COST
            if self._waiting + cost > self._max_waiting:
                self.dropped += 1
                return
            self._waiting += cost
            self._lines.append(line)
            if not self._running:
                self._start()

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most `timeout` seconds, letting other greenlets run; True when all lines are written."""
        deadline = time.monotonic() + timeout
        while self._running and self._pid == os.getpid():
            if time.monotonic() >= deadline:
                return False
            gevent.sleep(0.005)
        return True

    def close(self, timeout: float = 2.0) -> bool:
        """Flush for the last time, as flush() does; the descriptor stays open."""
        atexit.unregister(self.flush)
        return self.flush(timeout)

    def _begin(self) -> None:
        """Nothing waits and no thread runs: true of a new writer and of a child, where threads are gone."""
        self._pid = os.getpid()
        self._lock = _RLock()  # reentrant: a signal handler that logs may interrupt write()
        self._lines: list[str] = []
        self._waiting = 0
        self._running = False
        self._told = self.dropped

    def _start(self) -> None:
        self._running = True
        try:
            _start_thread(self._run, ())
        except RuntimeError:  # no more threads to be had just now; the next line tries again
            self._running = False

    def _run(self) -> None:
        while lines := self._collect():
            data = "\n".join([*lines, ""]).encode("utf-8", "backslashreplace")
            for piece in _pieces(data) if self._shared else (data,):
                self._write_out(piece)

    def _collect(self) -> list[str]:
        """The lines of one interval; [] when none came, and then the thread ends."""
        _sleep(self._interval)
        with self._lock:
            lines, self._lines = self._lines, []
            self._waiting = 0
            self._running = bool(lines)
            dropped = self.dropped - self._told if lines else 0
            self._told += dropped
        if dropped:
            lines.append(self._dropped_line(dropped))
        return lines

    def _write_out(self, data: bytes) -> None:
        """Write everything, however long it takes; what the descriptor refuses for good counts as dropped."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest[:_SLICE]) :]
            except BlockingIOError:  # somebody made the descriptor non-blocking, as terminals often are
                _sleep(self._interval)
            except OSError:
                with self._lock:
                    self.dropped += bytes(rest).count(b"\n")
                return
