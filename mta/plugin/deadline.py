"""The time that one plugin has for one hook."""

from __future__ import annotations

from time import monotonic  # the real one: tests move what plugins read as the time
from typing import TYPE_CHECKING, Final

from gevent import get_hub, getcurrent, monkey

from mta.connection import ClientGone
from mta.logger import RUNNING, Running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenlet import greenlet

    from mta.logger import Values

NEVER: Final = float("inf")
CLEANING_UP: Final = 1.0
"""Seconds that a plugin has at least, after its time was up, before it is interrupted again."""


class TookTooLong(BaseException):
    """Raised inside a plugin whose time is up; not an Exception, so that a plugin does not swallow it by mistake.

    What a plugin answers after that comes too late and does not count, unless it sets `excused`: then it has an answer
    of its own to being late. One that swallows it and waits on is interrupted again: after as much time as it had, but
    CLEANING_UP at least.
    """

    excused = False
    again = NEVER  # when it is raised the next time, by the monotonic clock


LATE: Final[dict[int, TookTooLong]] = {}
"""The hooks whose time was up and that have not come to their end, by id() of their values in RUNNING."""


def interruption(hook: Values) -> TookTooLong:
    """What is raised in a hook whose time is up, for the first time or again."""
    late = LATE.setdefault(id(hook), TookTooLong())
    late.again = monotonic() + max(Running(*hook).seconds, CLEANING_UP)
    return late


def was_late(hook: Values, error: BaseException | None) -> bool:
    """True when a hook that is at its end, with this error if any, took too long: whatever came of it is dropped.

    Not so what ends the whole session, ClientGone, and the interruption of a hook further out.
    """
    late = LATE.pop(id(hook), None)
    if late is None or late.excused:
        return False
    return error is None or error is late or _is_the_plugins(error)


class Timekeeper:
    """Interrupts all hooks of one event loop that take too long, wherever they wait, so that their `finally` blocks run.

    wakes: when it looks the next time whether any do, by the monotonic clock. A timer of libev for each call of a plugin costs
    three times what the call costs. Nearly all calls end in time, so there is one timer, which is left alone when they do, and
    looks about once in a timeout.
    """

    __slots__ = ("_loop", "_main", "_timer", "wakes")

    def __init__(self) -> None:
        self.wakes = NEVER
        self._main = _root(getcurrent())
        self._loop = get_hub().loop
        self._timer = self._loop.timer(0.0, priority=-1)

    def wake(self, due: float) -> None:
        """Look at the hooks at this time."""
        self._timer.stop()
        self._timer = self._loop.timer(max(due - monotonic(), 0.0), priority=-1)
        self._timer.start(self._look, update=True)
        self.wakes = due

    def _look(self) -> None:
        self.wakes = NEVER
        now, nearest = monotonic(), NEVER
        for waiting, innermost in list(RUNNING.items()):
            if _root(waiting) is not self._main:
                continue  # in another thread
            for hook in _outwards(innermost):
                due = _due(hook)
                if due <= now:
                    self._loop.run_callback(
                        self._interrupt, waiting, hook
                    )  # each by itself: it runs the code of a plugin
                    due = now + CLEANING_UP
                nearest = min(nearest, due)
        if nearest < NEVER:
            self.wake(nearest)

    def _interrupt(self, waiting: greenlet, hook: Values) -> None:
        if any(hook is each for each in _outwards(RUNNING.get(waiting))):
            waiting.throw(interruption(hook))


def _outwards(hook: Values | None) -> Iterator[Values]:
    """A hook and those in which it is run."""
    while hook is not None:
        yield hook
        hook = Running(*hook).outer


def _due(hook: Values) -> float:
    late = LATE.get(id(hook))
    return Running(*hook).due if late is None else late.again


def _root(current: greenlet) -> greenlet:
    """The main greenlet of the thread."""
    while current.parent is not None:
        current = current.parent
    return current


def _is_the_plugins(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, ClientGone)


class _OfThread(monkey.get_original("_thread", "_local")):  # type: ignore[misc]  # the real one: a thread has one event loop
    timekeeper: Timekeeper

    def __init__(self) -> None:
        self.timekeeper = Timekeeper()


OF_THREAD: Final = _OfThread()
"""`timekeeper`: that of the thread's event loop."""
