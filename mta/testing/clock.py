"""A clock that tests move: what plugins read as the time, and how long they believe to have slept."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date as RealDate
from datetime import datetime as RealDatetime
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from gevent import getcurrent
from greenlet import greenlet

from mta.logger import RUNNING, Running, Values
from mta.plugin.deadline import CLEANING_UP, TookTooLong, interruption
from mta.testing.replacing import replaced

_REAL_TIME, _REAL_MONOTONIC = time.time, time.monotonic
NANO = 1_000_000_000

_clocks: list[Clock] = []  # of the servers that are up, the last one counts


class Clock:
    """The time as plugins see it while a server is up: the machine's, moved by `advance` and `set`, stopped by `freeze`.

    time.sleep in a hook returns at once and moves the clock. A plugin that sleeps longer than its timeout allows is ended
    as it is in a server. Everywhere else sleep is the real one; the machine's own clock is never touched.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._frozen: float | None = None
        self._hooks: WeakKeyDictionary[greenlet, list[_Hook]] = WeakKeyDictionary()

    @property
    def now(self) -> float:
        """Seconds since 1970, as time.time() says in a plugin."""
        return self.monotonic() + (_REAL_TIME() - _REAL_MONOTONIC())

    def monotonic(self) -> float:
        """Seconds, as time.monotonic() says in a plugin."""
        return (_REAL_MONOTONIC() if self._frozen is None else self._frozen) + self._ahead

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass. Clients that are connected stay so. Raises ValueError for a time that would run backwards."""
        step = datetime.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if step < 0:
            raise ValueError("time.monotonic never goes back; use set() for the time of day")
        self._ahead += step

    def set(self, moment: datetime.datetime | float) -> None:
        """Make it this moment: seconds since 1970, or a datetime, which is local time when it has no zone."""
        wanted = moment.timestamp() if isinstance(moment, RealDatetime) else moment
        self._ahead += wanted - self.now

    def freeze(self) -> None:
        """Stop the clock: from now on it moves only when it is told to, or when a plugin sleeps."""
        self._frozen = _REAL_MONOTONIC()

    # -- for the server that is tested --------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show this time to whoever asks the modules time and datetime, as long as the block lasts."""
        with ExitStack() as stack:
            _clocks.append(self)
            stack.callback(_clocks.remove, self)
            for name, function in _functions(time.sleep).items():
                stack.enter_context(replaced(time, name, function))
            for name, kind in _KINDS.items():
                stack.enter_context(replaced(datetime, name, kind))
            yield

    @contextmanager
    def in_hook(self) -> Iterator[None]:
        """Within the block, and in this greenlet, sleeping moves the clock, at most until the time of the hook is up."""
        current = getcurrent()
        hooks = self._hooks.setdefault(current, [])
        hooks.append(_Hook(RUNNING.get(current), self.monotonic()))
        try:
            yield
        finally:
            hooks.pop()

    def sleeps(self) -> bool:
        """True when sleep in this greenlet is only believed."""
        return bool(self._hooks.get(getcurrent()))

    def sleep(self, seconds: float) -> None:
        """What time.sleep does in a hook. Raises TookTooLong if the time of the hook is up first."""
        gevent.sleep(0)  # others get their turn, as they would
        first = min(self._hooks[getcurrent()], key=lambda hook: hook.due)
        if self.monotonic() + seconds < first.due:
            self._ahead += max(seconds, 0)
            return
        self._ahead += max(first.due - self.monotonic(), 0)
        raise first.passed(self.monotonic())


class _Hook:
    """A hook as the clock sees it: `due` is when its time is up, by the clock's monotonic()."""

    __slots__ = ("_seconds", "_values", "due")

    def __init__(self, values: Values | None, now: float) -> None:
        self._values = values
        self._seconds = Running(*values).seconds if values else 0.0
        self.due = now + (self._seconds or float("inf"))

    def passed(self, now: float) -> TookTooLong:
        """What is raised in the hook, which gets as much time to clean up as in a server."""
        assert self._values is not None  # only who asked for it has a time
        self.due = now + max(self._seconds, CLEANING_UP)
        return interruption(self._values)


def adopt(stack: ExitStack, module: ModuleType) -> None:
    """Show the clock to a module that took names such as `sleep` or `datetime` out of their modules before."""
    ours = {id(real): getattr(place, name) for place, name, real in _REAL if hasattr(place, name)}
    for name, value in list(vars(module).items()):
        if id(value) in ours and ours[id(value)] is not value:
            stack.enter_context(replaced(module, name, ours[id(value)]))


def _functions(real_sleep: Callable[[float], object]) -> dict[str, Callable[..., Any]]:
    """What stands in the module time; made to be kept by whoever takes it out, also when the server is gone."""

    def sleep(seconds: float) -> None:
        if _clocks and _clocks[-1].sleeps():
            _clocks[-1].sleep(seconds)
        else:
            real_sleep(seconds)

    return {
        "time": _time,
        "time_ns": lambda: int(_time() * NANO),
        "monotonic": _monotonic,
        "monotonic_ns": lambda: int(_monotonic() * NANO),
        "sleep": sleep,
    }


def _time() -> float:
    return _clocks[-1].now if _clocks else _REAL_TIME()


def _monotonic() -> float:
    return _clocks[-1].monotonic() if _clocks else _REAL_MONOTONIC()


class _Kind(type):
    """Real dates are dates, too."""

    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, cls.__mro__[1])


class _Datetime(RealDatetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return RealDatetime.fromtimestamp(_time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return RealDatetime.fromtimestamp(_time(), datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return RealDatetime.fromtimestamp(_time())


class _Date(RealDate, metaclass=_Kind):
    @classmethod
    def today(cls) -> Any:
        return RealDate.fromtimestamp(_time())


_KINDS = {"datetime": _Datetime, "date": _Date}
_REAL = [
    *(
        (time, name, getattr(time, name))
        for name in ("time", "time_ns", "monotonic", "monotonic_ns", "sleep")
    ),
    (datetime, "datetime", RealDatetime),
    (datetime, "date", RealDate),
]
