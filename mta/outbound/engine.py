"""The engine: what is due is delivered, as many at a time as allowed, and no site at the cost of another."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from gevent import Greenlet, sleep, spawn
from gevent.event import Event

from mta.config.schema import OutboundSettings
from mta.logger import Logger
from mta.outbound.attempt import Attempts
from mta.outbound.crew import Crew
from mta.outbound.hot import HotMessage
from mta.outbound.job import Job
from mta.outbound.qfile import QueueFileName
from mta.outbound.settle import Later
from mta.outbound.sites import NEVER, Site
from mta.outbound.spool import Spool, SpoolError
from mta.outbound.steady import WallClock
from mta.outbound.todo import Todo
from mta.outbound.waiting import Waiting

HOT_BYTES = 64 * 1024 * 1024  # messages kept in memory for their first attempt; above it they are read back
HOT_OVERHEAD = 4096  # what a waiting entry takes besides its message, roughly
LOAD_AGAIN = 30.0  # seconds until another try when the directory could not be read
LOAD_BATCH = 256  # names per turn at start-up, so that mail is served meanwhile
LONGEST_SLEEP = 60.0  # seconds; the wall clock may be set while we wait


class Gate(Protocol):
    """What must have happened before the spool is ours."""

    def wait(self) -> bool:
        """Block the greenlet until it has; False when it never will."""
        ...


class Engine:
    """Owns every entry of the spool from start() or wake() until it is forgotten.

    An entry waits (see `waiting`) or is under way in a greenlet. guess: the site where mail for a domain will probably be
    counted, or None; a wrong guess costs some time.
    """

    def __init__(
        self,
        spool: Spool,
        attempts: Attempts,
        waiting: Waiting,
        logger: Logger,
        settings: OutboundSettings,
        guess: Callable[[Todo], Site | None],
    ) -> None:
        self._spool = spool
        self._attempts = attempts
        self._waits = waiting
        self._logger = logger
        self._guess = guess
        self._concurrency = settings.concurrency_max
        self._disabled = settings.disabled
        self._stopping = False
        self._hot_bytes = 0
        self._under_way: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._crew = Crew(self._work)
        self._busy = 0
        self._changed = Event()
        self._clock = WallClock()
        self._flushed = False  # since the loading of names began
        self.loading = False  # what is ours may be another's still
        self._tasks: list[Greenlet[[], None]] = []

    # -- life

    def start(self, gate: Gate | None = None) -> None:
        """Begin to deliver, and to load the names that lie in the spool, behind the gate; returns at once."""
        self._flushed = False
        self.loading = gate is not None
        self._tasks = [spawn(partial(self._load, gate)), spawn(self._schedule)]

    def stop(self, drain_seconds: float = 30.0) -> None:
        """Start nothing new, give what is under way so many seconds, then end it; its entries stay in the spool."""
        self._stopping = True
        for task in self._tasks:
            task.kill()
        self._crew.end(drain_seconds)

    def configure(self, settings: OutboundSettings) -> None:
        """Take over a new concurrency_max and `disabled`; deliveries under way go on."""
        self._concurrency = settings.concurrency_max
        self._disabled = settings.disabled
        self.reconsider()

    def reconsider(self) -> None:
        """Limits or suspensions have changed, which may let something begin."""
        self._waits.reconsider(time.monotonic())
        self._changed.set()

    def flush(self) -> None:
        """Make everything that waits for its time due now, what is still being loaded included; what is held stays."""
        self._flushed = True
        self._waits.flush(time.monotonic())
        self._changed.set()

    @property
    def in_progress(self) -> int:
        """How many attempts are under way."""
        return self._busy

    @property
    def waiting(self) -> int:
        """How many entries wait for their time, or for a place."""
        return len(self._waits)

    @property
    def hot_bytes(self) -> int:
        """About how much memory messages take that wait for their first attempt, or are in it."""
        return self._hot_bytes

    @property
    def disabled(self) -> bool:
        """True when nothing is delivered, by outbound.ini."""
        return self._disabled

    def under_way(self, name: str) -> float | None:
        """Since when the entry is being attempted, by time.monotonic(); None when it is not."""
        return self._under_way.get(name)

    def names_under_way(self) -> list[str]:
        """The entries that are being attempted."""
        return list(self._under_way)

    def reason(self, name: str) -> str | None:
        """Why the last attempt at the entry put it off, if that was in the life of this process."""
        return self._reasons.get(name)

    # -- what comes in

    def keeps(self, size: int) -> bool:
        """True when a message of so many bytes would be delivered from memory, and as soon as there is room for that."""
        return not self._disabled and not self._stopping and self._hot_bytes + size <= HOT_BYTES

    def wake(self, names: Sequence[QueueFileName], todos: Sequence[Todo], hot: HotMessage | None) -> None:
        """Take over entries that were just made; with `hot` their first attempt needs no disk."""
        if hot is None or self._disabled or self._stopping or self._hot_bytes + hot.size > HOT_BYTES:
            for name in names:
                self.put(Later(name, name.next_attempt))
            return
        hot.holders = len(names)
        self._hot_bytes += hot.size + HOT_OVERHEAD * len(names)
        now = time.monotonic()
        for name, todo in zip(names, todos, strict=True):
            self._begin(Job(name.next_attempt, name, todo, hot), self._guess(todo), now)

    def put(self, later: Later) -> None:
        """Let an entry wait; of one that an attempt or an operator has moved."""
        if self._waits.push(later.due_ms, later.name.text, later.unsaved):
            self._changed.set()

    def _begin(self, job: Job, site: Site | None, now: float) -> None:
        """Do a job at once if there is room for it, else let it wait at the right place."""
        if site is not None and (site.parked or site.wait(now)):
            self._park(site, job)
            return
        if self._busy >= self._concurrency:
            self._waits.add_ready(job)
            return
        if site is not None:
            site.enter(now)
            job.seat = site
        self._busy += 1
        self._crew.give(job)

    def left(self, site: Site) -> None:
        """A place at the site is free: who is parked there gets it, unless there is no room for anybody."""
        if not site.parked:
            return
        now = time.monotonic()
        if self._has_room and not self._paused and (job := self._waits.next_at(site, now)):
            self._hire(job)
        self._waits.left(site, now)
        self._look_after(site, now)

    def _park(self, site: Site, job: Job) -> None:
        now = time.monotonic()
        self._waits.park(site, job, now)
        self._look_after(site, now)

    def _look_after(self, site: Site, now: float) -> None:
        """Let the scheduler know of a site where something may begin without anything ending before."""
        if site.parked and site.wait(now) != NEVER:
            self._changed.set()

    # -- what an operator does

    def claim(self, name: str) -> Job | None:
        """Take an entry that waits, so that nobody else touches it until unclaim(); None when it does not wait."""
        job = self._waits.take(name)
        if job is not None:
            self._under_way[name] = time.monotonic()
        return job

    def unclaim(self, job: Job, later: Later | None) -> None:
        """Give the entry back: it is due again, or done with. Its message need not be in memory any more."""
        self._under_way.pop(job.name.text, None)
        reason = self._reasons.pop(job.name.text, None)
        if job.hot is not None:
            self._cool(job.hot)
        if later is not None:
            if reason:
                self._reasons[later.name.text] = reason
            self.put(later)

    def _load(self, gate: Gate | None) -> None:
        """Push the names that lay in the spool when it was opened; the spool passes over what came since."""
        if gate is not None and not gate.wait():
            return
        while (count := self._load_names()) is None:
            sleep(LOAD_AGAIN)
        self.loading = False
        self._logger.info("queue loaded", {"entries": count}, origin="outbound")

    def _load_names(self) -> int | None:
        """How many there were; None when not even the first could be read, so that it is worth another try."""
        count = 0
        try:
            for count, name in enumerate(self._spool.walk(), start=1):
                due_ms = 0 if self._flushed and not name.is_held else name.next_attempt
                if self._waits.push(due_ms, name.text):
                    self._changed.set()
                if count % LOAD_BATCH == 0:
                    sleep(0)
        except SpoolError as error:
            self._logger.crit(f"cannot read the whole queue: {error}", origin="outbound")
            return count or None
        return count

    # -- what goes out

    @property
    def _paused(self) -> bool:
        return self._disabled or self._stopping

    @property
    def _has_room(self) -> bool:
        return self._busy < self._concurrency

    def _hire(self, job: Job) -> None:
        self._busy += 1
        self._crew.give(job)

    def _schedule(self) -> None:
        """Hire a greenlet for each attempt that can be made, as long as there is room; sleep until the next one can."""
        while True:
            self._changed.clear()
            if jump := self._clock.jump():
                self._logger.warn(f"the clock was set by {jump / 1000:g} seconds", origin="outbound")
                # Forth: a clock that was slow when the names were read may have been put right, so their times count.
                if jump < 0:
                    self._waits.shift(jump)
            if self._waits.sites.forget_idle(time.monotonic()):
                self._attempts.hints.clear()
            while self._has_room and (job := self._next()):
                self._hire(job)
            self._changed.wait(self._seconds_to_sleep())

    def _seconds_to_sleep(self) -> float:
        if self._paused or not self._has_room:
            return LONGEST_SLEEP  # configure(), a new name or a greenlet that looks for work will notice
        return min(self._waits.seconds(_now_ms(), time.monotonic()), LONGEST_SLEEP)

    def _next(self) -> Job | None:
        if self._disabled or self._stopping or not self._waits.has_any:
            return None
        return self._waits.next(_now_ms(), time.monotonic())

    def _work(self, first: Job) -> None:
        """Make attempts until there is none to make."""
        job: Job | None = first
        try:
            while job is not None:
                self._attempt(job)
                job = self._next() if self._busy <= self._concurrency else None
        finally:
            if self._busy >= self._concurrency:
                self._changed.set()  # the scheduler sleeps long when there is no room
            self._busy -= 1

    def _attempt(self, job: Job) -> None:
        name = job.name.text
        self._under_way[name] = time.monotonic()
        try:
            result = self._attempts.make(job)
        finally:
            del self._under_way[name]
        if isinstance(result, Site):
            self._park(result, job)
            return
        if self._reasons:
            self._reasons.pop(name, None)
        if job.hot is not None:
            self._cool(job.hot)
        if result is not None:
            if result.reason:
                self._reasons[result.name.text] = sys.intern(result.reason)
            self.put(result)

    def _cool(self, hot: HotMessage) -> None:
        """One entry less needs the message in memory."""
        hot.holders -= 1
        self._hot_bytes -= HOT_OVERHEAD + (0 if hot.holders else hot.size)


def _now_ms() -> int:
    return int(time.time() * 1000)
