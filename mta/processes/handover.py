"""The queue of a slot goes from one worker to the next: who comes is told when those have ended that were there before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from gevent.monkey import get_original

ENDED = b"."

_close: Callable[[int], None] = get_original("os", "close")


class Handovers:
    """The master's side; a worker's is Predecessor. A pipe for each worker that waits: one byte means that its turn has come.

    The byte is sent when the predecessors have been reaped: a process that is a zombie still, or a program that one of them
    has started and that outlives it, can not deceive us. An end of the pipe without the byte means that the master is gone.
    """

    def __init__(self) -> None:
        self._waits: dict[int, set[int]] = {}  # by the end to write to: the processes that must end before

    def await_end(self, predecessors: Iterable[int]) -> int:
        """A descriptor for the worker that takes the place of these processes; the caller closes it after the fork."""
        reader, writer = os.pipe()
        self._waits[writer] = set(predecessors)
        return reader

    def ended(self, pid: int) -> None:
        """A process has been reaped."""
        for writer, left in list(self._waits.items()):
            left.discard(pid)
            if not left:
                del self._waits[writer]
                with suppress(BrokenPipeError):  # who waited has ended as well
                    os.write(writer, ENDED)
                _close(writer)

    def leave(self) -> None:
        """In a child: what belongs to the master is closed, so that its end can be seen."""
        for writer in self._waits:
            _close(writer)
        self._waits.clear()
