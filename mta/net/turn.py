"""The turn of the event loop that is going on: how long it may go on serving clients, and who comes first in the next one."""

from __future__ import annotations

from time import monotonic  # the real one: tests move what others read as the time
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from gevent import get_hub

if TYPE_CHECKING:
    from gevent.hub import Hub

MOST = 0.010  # seconds: what is served last, and other callbacks of the loop, take some more
FIRST = 2  # the highest priority of libev's watchers


class Late(Protocol):
    """Who would be served now, but for the others who are waiting."""

    def serve(self) -> None:
        """Go on; called in the event loop."""


class Turn:
    """began: when the loop came back from the kernel, by the monotonic clock. ends: when it serves nobody else before it looks again.

    served: those put off in the turn before who have had their turn; the loop names them again, for it had looked already.

    The loop hands out all that has happened since it last looked. With a hundred clients that are ready that takes 30 ms, in
    which new clients, timers and the disk's thread wait; so the rest has its turn after them. It costs one look at the clock
    each time.
    """

    __slots__ = ("_late", "_watcher", "began", "ends", "served")

    def __init__(self) -> None:
        self._late: dict[Late, None] = {}  # in the order in which they came
        self.served: set[Late] = set()
        self._on_begin()
        # ref=False: this alone must not keep a process alive.
        self._watcher = get_hub().loop.check(ref=False, priority=FIRST)
        self._watcher.start(self._on_begin)

    def put_off(self, late: Late) -> None:
        """Serve somebody in the next turn, before everybody else; harmless when repeated."""
        self._late[late] = None

    def _on_begin(self) -> None:
        self.began = now = monotonic()
        self.ends = now + MOST
        if self.served:
            self.served = set()
        if self._late:
            self._serve_late()

    def _serve_late(self) -> None:
        late, self._late = self._late, {}
        for each in late:
            each.serve()
        self.served = set(late)


_turns: WeakKeyDictionary[Hub, Turn] = WeakKeyDictionary()


def turn_of_loop() -> Turn:
    """That of this thread's event loop."""
    hub = get_hub()
    turn = _turns.get(hub)
    if turn is None:
        turn = _turns[hub] = Turn()
    return turn
