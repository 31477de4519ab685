"""One coarse timer per process that ends waits which have lasted too long.

A timer object per read costs more than the read: a session waits thousands of times and times out once. So every
wire notes its deadline, and one timer looks at all of them once a second.
"""

from __future__ import annotations

from time import monotonic  # the real one: tests move what others read as the time
from typing import Protocol

from gevent import get_hub

from mta.net.per_loop import PerLoop
from mta.net.turn import turn_of_loop

TICK = 1.0


class Waiter(Protocol):
    """What the clock watches: something with a deadline that can be told that it has passed."""

    deadline: float

    def expire(self) -> None:
        """End the wait that is going on, if any."""


class Clock:
    """Ends the waits of all its members; `now` is the monotonic time in seconds, up to one tick old.

    hub, turn: those of the event loop that it belongs to, so that a wire has all three by one look.
    """

    __slots__ = ("_members", "_timer", "hub", "now", "turn")

    def __init__(self) -> None:
        self.now = monotonic()
        self._members: set[Waiter] = set()
        # ref=False: a clock alone must not keep a process alive.
        self.hub = get_hub()
        self.turn = turn_of_loop()
        self._timer = self.hub.loop.timer(TICK, TICK, ref=False)

    def add(self, member: Waiter) -> None:
        """Watch this member's deadline from now on."""
        if not self._members:
            self.now = monotonic()
            self._timer.start(self._tick)
        self._members.add(member)

    def remove(self, member: Waiter) -> None:
        """Forget a member; harmless when it is not known."""
        self._members.discard(member)
        if not self._members:
            self._timer.stop()

    def _tick(self) -> None:
        self.now = now = monotonic()
        # One callback each: the loop serves others in between, when thousands have fallen silent together.
        for member in [member for member in self._members if member.deadline < now]:
            self.hub.loop.run_callback(_expire, member, now)


def _expire(member: Waiter, now: float) -> None:
    if member.deadline < now:
        member.expire()


default_clock = PerLoop(Clock)  # the clock of this thread's event loop
