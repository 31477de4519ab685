"""The turn of the event loop that is going on: how long it may go on serving clients, and who comes first in the next one."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic, thread_time  # the real ones: tests move what others read as the time
from typing import Protocol

from gevent import get_hub

from mta.net.per_loop import PerLoop

MOST = 0.010  # seconds: what is served last, and other callbacks of the loop, take some more
FIRST = 2  # the highest priority of libev's watchers


class Late(Protocol):
    """Who would be served now, but for the others who are waiting."""

    def serve(self) -> None:
        """Go on; called in the event loop."""

    def pause(self) -> None:
        """Do not have the loop look whether you are ready; you are, and `serve` comes."""


class Turn:
    """began: when the loop came back from the kernel, by the monotonic clock. ends: when it serves nobody else before it looks again.

    computed: how much processor time the thread had taken by then, in seconds; the difference to the clock's is what the machine
    gave to others. served: those put off in the turn before who have had their turn; the loop names them again, for it had looked already.

    The loop hands out all that has happened since it last looked. With a hundred clients that are ready that takes 30 ms, in
    which new clients, timers and the disk's thread wait; so the rest has its turn after them. It costs one look at the clock
    each time.
    """

    __slots__ = ("_awake", "_late", "_watcher", "began", "computed", "ends", "served")

    def __init__(self) -> None:
        self._late: OrderedDict[Late, None] = OrderedDict()  # in the order in which they came
        self.served: set[Late] = set()
        self._on_begin()
        # ref=False: these alone must not keep a process alive.
        loop = get_hub().loop
        self._watcher = loop.check(ref=False, priority=FIRST)
        self._watcher.start(self._on_begin)
        self._awake = loop.idle(ref=False)  # as long as it is started the loop looks without waiting

    def put_off(self, late: Late) -> None:
        """Serve somebody in the next turn, before everybody else; harmless when repeated."""
        self._late[late] = None

    def _on_begin(self) -> None:
        self.began = now = monotonic()
        self.ends = now + MOST
        self.computed = thread_time()
        if self.served:
            self.served = set()
        if self._late:
            self._serve_late()

    def _serve_late(self) -> None:
        late = self._late
        while late and monotonic() < self.ends:
            each, _ = late.popitem(last=False)
            each.serve()
            self.served.add(each)
        for each in late:
            # Thousands that became ready together would be named again in each turn, which takes longer than to serve some.
            each.pause()
        if late:
            self._awake.start(_nothing)
        else:
            self._awake.stop()


def _nothing() -> None:
    """What an idle watcher calls."""


turn_of_loop = PerLoop(Turn)  # that of this thread's event loop
