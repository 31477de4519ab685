"""The engine: what is due is delivered, as many at a time as allowed; what is not waits in a heap of names."""

from __future__ import annotations

import heapq
import time
import traceback
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from gevent import Greenlet, sleep, spawn
from gevent.event import Event
from gevent.pool import Group

from mta.config.schema import OutboundSettings
from mta.logger import Logger
from mta.outbound.backoff import delay
from mta.outbound.delivery import Deliverer
from mta.outbound.hmail import HMail
from mta.outbound.hot import HotMessage
from mta.outbound.mx import NoRoute
from mta.outbound.outcome import Outcomes, of_reply
from mta.outbound.qfile import QueueFileName
from mta.outbound.settle import TROUBLE_WAIT, Later, Settler, seconds
from mta.outbound.spool import CorruptEntry, EntryGone, Spool, SpoolError
from mta.outbound.todo import Todo
from mta.plugin.runner import HookRunner
from mta.plugin.verdict import DELAY

HOT_BYTES = 64 * 1024 * 1024  # messages kept in memory for their first attempt; above it they are read back
HOT_OVERHEAD = 4096  # what a waiting entry takes besides its message, roughly
LOAD_BATCH = 256  # names per turn at start-up, so that mail is served meanwhile
LONGEST_SLEEP = 60.0  # seconds; the wall clock may be set while we wait
POSTPONE_SECONDS = 60.0  # when hook send_email says DELAY without saying how long


class _Job(NamedTuple):
    """One attempt to make. Without `hot` the entry is read from the spool; todo then is what could not be saved there."""

    due_ms: int
    name: QueueFileName
    todo: Todo | None = None
    hot: HotMessage | None = None


class Engine:
    """Owns every entry of the spool from start() or wake() until it is forgotten.

    An entry is in exactly one place: the heap (its name, about 250 bytes), the hot queue, or under way in a greenlet.
    """

    def __init__(
        self,
        spool: Spool,
        deliverer: Deliverer,
        settler: Settler,
        runner: HookRunner,
        logger: Logger,
        settings: OutboundSettings,
    ) -> None:
        self._spool = spool
        self._deliverer = deliverer
        self._settler = settler
        self._runner = runner
        self._logger = logger
        self._concurrency = settings.concurrency_max
        self._disabled = settings.disabled
        self._stopping = False
        self._heap: list[tuple[int, str]] = []
        self._ready: deque[_Job] = deque()
        self._hot_bytes = 0
        self._unsaved: dict[str, Todo] = {}
        self._workers = Group()
        self._busy = 0
        self._changed = Event()
        self._flushed = False  # since the loading of names began
        self._tasks: list[Greenlet[[], None]] = []

    # -- life

    def start(self) -> None:
        """Begin to deliver, and to load the names that lie in the spool; returns at once."""
        self._flushed = False
        self._tasks = [spawn(self._load), spawn(self._schedule)]

    def stop(self, drain_seconds: float = 30.0) -> None:
        """Start nothing new, give what is under way so many seconds, then end it; its entries stay in the spool."""
        self._stopping = True
        for task in self._tasks:
            task.kill()
        self._workers.join(timeout=drain_seconds)
        self._workers.kill()

    def configure(self, settings: OutboundSettings) -> None:
        """Take over a new concurrency_max and `disabled`; deliveries under way go on."""
        self._concurrency = settings.concurrency_max
        self._disabled = settings.disabled
        self._changed.set()

    def flush(self) -> None:
        """Make everything that waits for its time due now, what is still being loaded included."""
        self._flushed = True
        self._heap = [(0, name) for _, name in self._heap]
        heapq.heapify(self._heap)
        self._changed.set()

    @property
    def in_progress(self) -> int:
        """How many attempts are under way."""
        return self._busy

    @property
    def waiting(self) -> int:
        """How many entries wait for their time, or for a place."""
        return len(self._heap) + len(self._ready)

    @property
    def hot_bytes(self) -> int:
        """About how much memory messages take that wait for their first attempt, or are in it."""
        return self._hot_bytes

    # -- what comes in

    def wake(self, names: Sequence[QueueFileName], todos: Sequence[Todo], hot: HotMessage | None) -> None:
        """Take over entries that were just made; with `hot` their first attempt needs no disk."""
        if hot is None or self._paused or self._hot_bytes + hot.size > HOT_BYTES:
            for name in names:
                self._push(name.next_attempt, name.text)
            return
        hot.holders = len(names)
        self._hot_bytes += hot.size + HOT_OVERHEAD * len(names)
        for name, todo in zip(names, todos, strict=True):
            job = _Job(name.next_attempt, name, todo, hot)
            if self._has_room and not self._ready:
                self._hire(job)
            else:
                self._ready.append(job)

    def _load(self) -> None:
        """Push the names that lay in the spool when it was opened; the spool passes over what came since."""
        count = 0
        try:
            for count, name in enumerate(self._spool.walk(), start=1):
                self._push(0 if self._flushed else name.next_attempt, name.text)
                if count % LOAD_BATCH == 0:
                    sleep(0)
        except SpoolError as error:
            self._logger.crit(f"cannot read the whole queue: {error}", origin="outbound")
        self._logger.info("queue loaded", {"entries": count}, origin="outbound")

    def _push(self, due_ms: int, name: str) -> None:
        entry = (due_ms, name)
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._changed.set()

    # -- what goes out

    @property
    def _paused(self) -> bool:
        return self._disabled or self._stopping

    @property
    def _has_room(self) -> bool:
        return self._busy < self._concurrency

    def _hire(self, job: _Job) -> None:
        self._busy += 1
        self._workers.spawn(self._work, job)

    def _schedule(self) -> None:
        """Hire a greenlet for each attempt that is due, as long as there is room; sleep until the next one is."""
        while True:
            self._changed.clear()
            while self._has_room and (job := self._next()):
                self._hire(job)
            self._changed.wait(self._seconds_to_sleep())

    def _seconds_to_sleep(self) -> float:
        if self._paused or not self._heap or not self._has_room:
            return LONGEST_SLEEP  # configure(), a new name or a greenlet that looks for work will notice
        return min(max(self._heap[0][0] / 1000 - time.time(), 0.0), LONGEST_SLEEP)

    def _next(self) -> _Job | None:
        """The attempt that has been due for longest, if there is one."""
        if self._paused:
            return None
        heap, ready = self._heap, self._ready
        if heap and heap[0][0] <= (ready[0].due_ms if ready else time.time() * 1000):
            due_ms, name = heapq.heappop(heap)
            return _Job(due_ms, QueueFileName.parse(name), self._unsaved.pop(name, None))
        return ready.popleft() if ready else None

    def _work(self, job: _Job | None) -> None:
        """Make attempts until nothing is due."""
        try:
            while job is not None:
                later = self._attempt(job)
                self._cool(job.hot)
                if later is not None:
                    self._keep(later)
                job = self._next() if self._busy <= self._concurrency else None
        finally:
            if not self._has_room:
                self._changed.set()  # the scheduler sleeps long when there is no room
            self._busy -= 1

    def _attempt(self, job: _Job) -> Later | None:
        try:
            return self._make_attempt(job)
        except Exception as error:
            # Whatever a message provokes in our own code must not cost it its place, nor others theirs.
            self._logger.crit(
                f"delivery of {job.name} failed: {type(error).__name__}: {error}",
                {"traceback": traceback.format_exc()},
                origin="outbound",
                uuid=job.todo.uuid if job.todo is not None else "-",
            )
            return self._put_off(job)

    def _make_attempt(self, job: _Job) -> Later | None:
        hmail = self._open(job)
        if not isinstance(hmail, HMail):
            return hmail
        if not hmail.todo.rcpt_to:
            return self._settler.forget(hmail)
        held = hmail.todo.hold_until - _now_ms()
        if held > 0:  # somebody flushed the queue: what was promised to its sender holds
            return self._settler.postpone(hmail, held / 1000, hmail.num_failures)
        if self._runner.has("send_email"):
            verdict = self._runner.run("send_email", hmail)
            if verdict.code is DELAY:
                wait = seconds(verdict.message, POSTPONE_SECONDS)
                hmail.loginfo(f"delivery delayed for {wait:g} seconds by {verdict.plugin}")
                return self._settler.postpone(hmail, wait, hmail.num_failures)
        return self._settler.settle(hmail, self._deliver(hmail))

    def _deliver(self, hmail: HMail) -> Outcomes:
        try:
            route = self._deliverer.route(hmail)
        except NoRoute as error:
            return dict.fromkeys(hmail.todo.rcpt_to, of_reply(error.reply))
        return self._deliverer.deliver(hmail, route)

    def _open(self, job: _Job) -> HMail | Later | None:
        """The entry as a mail; None when there is none, or none that can be read."""
        if job.hot is not None and job.todo is not None:
            return HMail(job.name, job.todo, job.hot, self._logger)
        try:
            todo, message = self._spool.load(job.name)
        except EntryGone:
            self._logger.notice(f"queue file {job.name} has gone, nothing to deliver", origin="outbound")
            return None
        except CorruptEntry as error:
            self._set_aside(job.name, error)
            return None
        except SpoolError as error:
            self._logger.error(f"cannot read {job.name}: {error}", origin="outbound")
            return Later(job.name, _now_ms() + TROUBLE_WAIT * 1000, job.todo)
        return HMail(job.name, job.todo or todo, message, self._logger, stale=job.todo is not None)

    def _set_aside(self, name: QueueFileName, error: CorruptEntry) -> None:
        self._logger.error(f"corrupt queue file {name} set aside as error.{name}: {error}", origin="outbound")
        try:
            self._spool.quarantine(name)
        except SpoolError as trouble:
            self._logger.error(f"cannot set {name} aside: {trouble}", origin="outbound")

    def _put_off(self, job: _Job) -> Later:
        """Move an entry to its next attempt after a failure of our own: it never runs out of retries."""
        waits = self._settler.waits_for(job.todo.domain if job.todo is not None else "")
        attempts = job.name.attempts + 1
        wait = delay(attempts, waits) or (waits[-1] if waits else TROUBLE_WAIT)
        later = self._settler.move(job.name, attempts, wait)
        return later if job.hot is not None else Later(later.name, later.due_ms, job.todo)

    def _keep(self, later: Later) -> None:
        if later.unsaved is not None:
            self._unsaved[later.name.text] = later.unsaved
        self._push(later.due_ms, later.name.text)

    def _cool(self, hot: HotMessage | None) -> None:
        """One entry less needs the message in memory."""
        if hot is None:
            return
        hot.holders -= 1
        self._hot_bytes -= HOT_OVERHEAD + (0 if hot.holders else hot.size)


def _now_ms() -> int:
    return int(time.time() * 1000)
