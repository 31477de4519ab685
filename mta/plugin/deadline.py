"""The time that one plugin has for one hook."""

from __future__ import annotations

from time import monotonic  # the real one: tests move what plugins read as the time
from typing import TYPE_CHECKING, Final

from gevent import get_hub, getcurrent, monkey

from mta.connection import ClientGone

if TYPE_CHECKING:
    from types import TracebackType

    from greenlet import greenlet

NEVER: Final = float("inf")
CLEANING_UP: Final = 1.0
"""Seconds that a plugin has at least, after its time was up, before it is interrupted again."""


class TookTooLong(BaseException):
    """Raised inside a plugin whose time is up; not an Exception, so that a plugin does not swallow it by mistake.

    What a plugin answers after that comes too late and does not count, unless it sets `excused`: then it has an answer
    of its own to being late.
    """

    excused = False


class Deadline:
    """Interrupts the code inside the `with` once `seconds` have passed, wherever it waits, so that its `finally` blocks run.

    Code that swallows the interruption and waits on is interrupted again: after `seconds` more, but CLEANING_UP at least.
    over: the time was up; whatever came of the code then is dropped, and no exception leaves the `with` but ClientGone and
    what ends the whole session.
    """

    __slots__ = ("_late", "_seconds", "_timekeeper", "_waiting", "due", "over")

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._late: TookTooLong | None = None
        self._seconds = seconds

    def __enter__(self) -> Deadline:
        self._waiting: greenlet = getcurrent()
        self.due = due = monotonic() + self._seconds
        self._timekeeper = timekeeper = _of_thread.timekeeper
        timekeeper.running.add(self)
        if due < timekeeper.wakes:
            timekeeper.wake(due)
        return self

    def interrupt(self) -> None:
        """The time is up, for the first time or again: throw into whoever waits inside the `with`."""
        self._waiting.throw(self.late())

    def late(self) -> TookTooLong:
        """The time is up: what has to be raised inside the `with`."""
        self._late = self._late or TookTooLong()
        return self._late

    def prolong(self, now: float) -> None:
        """How long a plugin that has been interrupted may clean up."""
        self.due = now + max(self._seconds, CLEANING_UP)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._timekeeper.running.discard(self)
        if self._late is None:
            return False
        return self._end_late(self._late, error)

    def _end_late(self, late: TookTooLong, error: BaseException | None) -> bool:
        self._late = None  # or its traceback and this would hold each other, and the connection
        if late.excused:
            return False
        self.over = error is None or error is late or _is_the_plugins(error)
        return self.over


class Timekeeper:
    """Interrupts all deadlines of one event loop by one timer.

    A timer of libev for each call of a plugin costs three times what the call costs. Nearly all calls end in time, so the timer
    is left alone when they do, and looks about once in a timeout whether anybody is late.
    """

    __slots__ = ("_loop", "_timer", "running", "wakes")

    def __init__(self) -> None:
        self.running: set[Deadline] = set()
        self.wakes = NEVER
        self._loop = get_hub().loop
        self._timer = self._loop.timer(0.0, priority=-1)

    def wake(self, due: float) -> None:
        """Look at the deadlines at this time, by the monotonic clock."""
        self._timer.stop()
        self._timer = self._loop.timer(max(due - monotonic(), 0.0), priority=-1)
        self._timer.start(self._look, update=True)
        self.wakes = due

    def _look(self) -> None:
        self.wakes = NEVER
        now = monotonic()
        for deadline in [deadline for deadline in self.running if deadline.due <= now]:
            deadline.prolong(now)
            self._loop.run_callback(self._interrupt, deadline)  # each by itself: it runs the code of a plugin
        if self.running:
            self.wake(min(deadline.due for deadline in self.running))

    def _interrupt(self, deadline: Deadline) -> None:
        if deadline in self.running:
            deadline.interrupt()


class _OfThread(monkey.get_original("_thread", "_local")):  # type: ignore[misc]  # the real one: a thread has one event loop
    timekeeper: Timekeeper

    def __init__(self) -> None:
        self.timekeeper = Timekeeper()


_of_thread = _OfThread()


def _is_the_plugins(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, ClientGone)
