"""The pipes to a program and from it, served by the event loop without a greenlet of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent import get_hub, monkey
from gevent.event import Event

READ, WRITE = 1, 2
SIZE = 65536  # bytes at a time: what a pipe holds on Linux

Action = tuple[Any, ...]

# gevent's own waits for the event loop, in which much of this runs; the watchers are closed before, which is what it is for.
_close_fd = monkey.get_original("os", "close")


class _Pipe:
    """Two ends: theirs until the program runs, then only ours, which never blocks."""

    __slots__ = ("_events", "_ours", "_theirs", "_watcher")

    def __init__(self, events: int) -> None:
        self._events = events
        self._ours = self._theirs = -1
        self._watcher: Any = None

    @property
    def is_open(self) -> bool:
        return self._ours >= 0

    def open(self, number: int) -> Action:
        """Make the pipe: how a program gets its end under the descriptor `number`. Raises OSError."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._ours, self._theirs = (reading, writing) if self._events == READ else (writing, reading)
        os.set_blocking(self._ours, False)
        return (os.POSIX_SPAWN_DUP2, self._theirs, number)

    def serve(self, ready: Callable[[], object]) -> None:
        """The program has its end; call `ready` whenever there is something to do at ours."""
        self._close_theirs()
        self._watcher = get_hub().loop.io(self._ours, self._events)
        self._watcher.start(ready)

    def read(self) -> bytes | None:
        """What has arrived: None when nothing has, b"" at the end."""
        try:
            return os.read(self._ours, SIZE)
        except BlockingIOError:
            return None

    def write(self, data: memoryview) -> int:
        """How much of it was taken; raises OSError when nobody reads."""
        try:
            return os.write(self._ours, data[:SIZE])
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self._close_theirs()
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        if self.is_open:
            _close_fd(self._ours)
            self._ours = -1

    def _close_theirs(self) -> None:
        if self._theirs >= 0:
            _close_fd(self._theirs)
            self._theirs = -1


class Inlet:
    """What a program reads: these bytes and then the end."""

    __slots__ = ("_pipe", "_rest")

    def __init__(self, data: bytes | None) -> None:
        self._rest = memoryview(data or b"")
        self._pipe = _Pipe(WRITE)

    def open(self) -> list[Action]:
        """What posix_spawn is to do about it. Raises OSError."""
        if not self._rest:
            return [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        return [self._pipe.open(0)]

    def serve(self) -> None:
        if self._pipe.is_open:
            self._pipe.serve(self._write)

    def _write(self) -> None:
        try:
            self._rest = self._rest[self._pipe.write(self._rest) :]
        except OSError:  # it has read enough, and may
            self._rest = self._rest[:0]
        if not self._rest:
            self._pipe.close()

    def close(self) -> None:
        self._pipe.close()


class Outlets:
    """What a program writes, both streams together at most `limit` bytes. `changed` is set when it wrote too much."""

    __slots__ = ("_pipes", "_size", "_texts", "changed", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.changed = Event()
        self._size = 0
        self._pipes = (_Pipe(READ), _Pipe(READ))
        self._texts: tuple[list[bytes], list[bytes]] = ([], [])

    @property
    def too_much(self) -> bool:
        return self._size > self.limit

    def open(self) -> list[Action]:
        """What posix_spawn is to do about them. Raises OSError."""
        return [pipe.open(number) for number, pipe in enumerate(self._pipes, 1)]

    def serve(self) -> None:
        for pipe, text in zip(self._pipes, self._texts, strict=True):
            pipe.serve(partial(self._read, pipe, text))

    def _read(self, pipe: _Pipe, text: list[bytes]) -> bool:
        """Take what has arrived; False when there is no more."""
        data = pipe.read()
        if data is None:
            return False
        text.append(data)
        self._size += len(data)
        if not data or self.too_much:
            pipe.close()
        if self.too_much:
            self.changed.set()
        return pipe.is_open

    def drain(self) -> bool:
        """Take all that has been written; False when somebody may still write more."""
        for pipe, text in zip(self._pipes, self._texts, strict=True):
            while pipe.is_open and self._read(pipe, text):
                pass
        return not any(pipe.is_open for pipe in self._pipes)

    def contents(self) -> tuple[bytes, bytes]:
        """Standard output and standard error."""
        return b"".join(self._texts[0]), b"".join(self._texts[1])

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
