"""Reports who keeps the event loop busy: plugin, hook, file and line, and for how long.

A thread looks at the loop from outside, ten times a second, so a switch of greenlets costs nothing more than without it. libev
counts its turns, and Turns notes when each began; a loop that is in the same turn as before, and does not wait, is held. gevent's
own monitor is told of every switch instead, and knows neither plugins nor durations.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import gevent
from gevent import monkey
from gevent.hub import Hub

from mta.logger import CRIT, Record
from mta.plugin.holds import Holds
from mta.plugin.turns import Turns
from mta.plugin.whereabouts import CORE, Whereabouts, holder, whereabouts

if TYPE_CHECKING:
    from mta.logger import Logger

WAITING = Hub.run.__code__  # the innermost frame of a thread whose event loop has nothing to do
STUCK_SECONDS = 5.0

# The real ones: the thread is no greenlet.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_make_lock = monkey.get_original("_thread", "allocate_lock")
_this_thread = monkey.get_original("_thread", "get_ident")


@dataclass(slots=True)
class _Hold:
    """One turn of the loop that takes long. by: who had it when it was first seen."""

    since: float
    by: FrameType
    told: bool = False
    told_stuck: bool = False


class Watchdog:
    """Watches the event loop of the thread that start() is called in.

    limit: seconds that a plugin may keep it; 0 watches nothing. write: takes a line from another thread: what the log is told
    of a loop that is still held after `stuck` seconds, and may never come back. `holds`: what was seen. `turns`: how long all
    turns of the loop were.
    """

    def __init__(
        self, limit: float, logger: Logger, write: Callable[[str], None], stuck: float = STUCK_SECONDS
    ) -> None:
        self.holds = Holds()
        self.turns = Turns()
        self._limit = limit
        self._logger = logger
        self._write = write
        self._stuck = max(stuck, limit)
        self._stopped = _make_lock()
        self._hold: _Hold | None = None
        self._excused = False
        self._excused_until = 0.0

    def start(self) -> None:
        """Begin; needs gevent's default loop, libev, and watches nothing on another."""
        self._loop = gevent.get_hub().loop
        self._turn = getattr(self._loop, "iteration", None)
        if not self._limit or self._turn is None or not self._stopped.acquire(False):
            return
        self._watched = _this_thread()
        self.turns.start()
        _start_thread(self._run, ())

    def stop(self) -> None:
        """End; harmless when repeated."""
        if self._stopped.locked():
            self._stopped.release()
            self.turns.stop()

    @contextmanager
    def excusing(self) -> Iterator[None]:
        """Report nobody as long as the block lasts: the server itself loads something."""
        self._excused = True
        try:
            yield
        finally:
            self._excused_until = time.monotonic()  # what else is done in this turn counts from here
            self._excused = False

    def as_values(self) -> dict[str, Any]:
        """As JSON values: `plugins` of Holds, and all of Turns."""
        return {"plugins": self.holds.as_values(), **self.turns.as_values()}

    def _run(self) -> None:
        pause = self._limit
        while not self._stopped.acquire(True, pause):
            pause = self._look()
        self._hold = None

    def _look(self) -> float:
        """Look once; in how many seconds to look again. Whatever is held for longer than the limit is seen in time."""
        now = time.monotonic()
        frame = sys._current_frames().get(self._watched)
        turn = self._loop.iteration
        if frame is None or frame.f_code is WAITING or self._excused:
            self._hold = None
        elif self._hold is None or turn != self._turn:
            self._hold = _Hold(max(self.turns.began, self._excused_until), holder(frame))
        self._turn = turn
        if frame is None or self._hold is None:
            return self._limit
        held = now - self._hold.since
        if held < self._limit:
            return self._limit - held
        self._judge(self._hold, frame, held, turn)
        return self._limit

    def _judge(self, hold: _Hold, frame: FrameType, held: float, turn: int) -> None:
        if not hold.told:
            hold.told = True
            where = whereabouts(frame)
            alone = hold.by is holder(frame)
            self.turns.seen = turn, where
            # Runs as soon as the loop has its thread back, which is when we know how long that took.
            self._loop.run_callback_threadsafe(self._over, hold.since, where, alone)
        elif not hold.told_stuck and held >= self._stuck:
            hold.told_stuck = True
            self._tell_stuck(whereabouts(frame), held)

    def _over(self, since: float, where: Whereabouts, alone: bool) -> None:
        seconds = time.monotonic() - since
        self.holds.add(where.plugin if alone else CORE, seconds)
        if self._stopped.locked():
            gevent.spawn(self._tell, where, seconds, alone)  # the log hook of a plugin may wait

    def _tell(self, where: Whereabouts, seconds: float, alone: bool) -> None:
        fields = where.fields()
        if not alone and where.plugin != CORE:
            fields = {"plugin": where.plugin, **fields}
        who = where.plugin if alone else CORE
        self._logger.warn(
            f"{_subject(who)} kept the event loop busy for {seconds * 1000:.0f} ms",
            fields,
            origin=who,
            uuid=where.uuid,
        )

    def _tell_stuck(self, where: Whereabouts, held: float) -> None:
        """From our thread: the loop writes no line now, and asks no log hook."""
        if self._logger.would_log(CRIT):
            text = f"{_subject(where.plugin)} has kept the event loop busy for {held:.0f} s, nobody is served"
            record = Record(CRIT, text, where.fields(), where.plugin, where.uuid)
            self._write(self._logger.render(record))


def _subject(who: str) -> str:
    return "The server" if who == CORE else f"Plugin {who}"
