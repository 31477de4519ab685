"""The time that one plugin has for one hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gevent import get_hub, getcurrent

from mta.connection import ClientGone

if TYPE_CHECKING:
    from types import TracebackType

    from greenlet import greenlet

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

    __slots__ = ("_late", "_timer", "over")

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._late: TookTooLong | None = None
        self._timer = get_hub().loop.timer(seconds, max(seconds, CLEANING_UP), priority=-1)

    def __enter__(self) -> None:
        self._timer.start(self._interrupt, getcurrent(), update=True)

    def _interrupt(self, waiting: greenlet) -> None:
        waiting.throw(self.late())

    def late(self) -> TookTooLong:
        """The time is up: what has to be raised inside the `with`."""
        self._late = self._late or TookTooLong()
        return self._late

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._timer.stop()
        self._timer.close()
        late = self._late
        self._late = None  # or its traceback and this would hold each other, and the connection
        if late is None or late.excused:
            return False
        self.over = error is None or error is late or _is_the_plugins(error)
        return self.over


def _is_the_plugins(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, ClientGone)
