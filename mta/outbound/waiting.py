"""Everything that waits, and which of it goes next. No greenlets, no disk, and no clock but the one it is asked with.

An entry is in one place at a time: held, due (a heap of names), ready (its message in memory), or parked at its site.
What is due or ready is of unknown destination; an attempt finds that out, and parks the entry if the site has no room.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mta.outbound.due_queue import DueQueue
from mta.outbound.gate import Gate
from mta.outbound.job import Job
from mta.outbound.qfile import HELD_MS, QueueFileName
from mta.outbound.sites import NEVER, Site, Sites

if TYPE_CHECKING:
    from mta.outbound.todo import Todo


class Waiting:
    """now_ms: the wall clock in milliseconds; now: seconds of a clock that only goes forward."""

    __slots__ = ("_alarms", "_due", "_held", "_parked", "_ready", "_ring", "_turn", "_unsaved", "sites")

    def __init__(self, sites: Sites) -> None:
        self.sites = sites
        self._due = DueQueue()
        self._held: set[str] = set()
        self._ready: OrderedDict[str, Job] = OrderedDict()
        self._parked: dict[str, Site] = {}
        self._ring: deque[Site] = deque()
        self._alarms: list[tuple[float, int, Site]] = []
        self._unsaved: dict[str, Todo] = {}
        self._turn = False

    def __len__(self) -> int:
        return len(self._due) + len(self._held) + len(self._ready) + len(self._parked)

    def names(self) -> Iterator[str]:
        """Every entry that waits, in no order. Nothing may be added or taken out meanwhile."""
        yield from self._due
        yield from self._held
        yield from self._ready
        yield from self._parked

    def schedule(self) -> Iterator[tuple[str, int]]:
        """Every entry that waits with the time of its attempt in ms, 0 for those that wait for a place. As names()."""
        for name in self._due:
            yield name, self._due.due(name) or 0
        for name in (*self._ready, *self._parked):
            yield name, 0
        for name in self._held:
            yield name, HELD_MS

    @property
    def has_any(self) -> bool:
        """False when next() has nothing to look at."""
        return bool(self._due or self._ready or self._ring or self._alarms)

    # -- coming

    def push(self, due_ms: int, name: str, unsaved: Todo | None = None) -> bool:
        """An entry waits for its time, or for ever when that is HELD_MS. True when it is the first to be due.

        unsaved: its envelope, when the one on disk is out of date.
        """
        if unsaved is not None:
            self._unsaved[name] = unsaved
        if due_ms >= HELD_MS:
            self._held.add(name)
            return False
        return self._due.push(due_ms, name)

    def add_ready(self, job: Job) -> None:
        """A job waits for one of the places that all sites share."""
        self._ready[job.name.text] = job

    def park(self, site: Site, job: Job, now: float) -> None:
        """A job waits for its site; of one whose name says it all, only the name is kept."""
        job.seat = None
        name = job.name.text
        site.parked[name] = None if job.bare else job
        self._parked[name] = site
        self._enroll(site, now)

    # -- going

    def next(self, now_ms: int, now: float) -> Job | None:
        """The next job to be done. By turns one whose site is known to have room, and the one that is due for longest."""
        if self._alarms:
            self._ring_alarms(now)
        self._turn = not self._turn
        if self._turn:
            return self._from_sites(now) or self._from_due(now_ms)
        return self._from_due(now_ms) or self._from_sites(now)

    def next_at(self, site: Site, now: float) -> Job | None:
        """The next job of this site, with a seat there; None when it has none, or no room."""
        if not site.parked or site.wait(now):
            return None
        return self._unpark(site, now)

    def seconds(self, now_ms: int, now: float) -> float:
        """How long it takes until there is something to do without anybody's doing; NEVER when there is no such thing."""
        if self._ready or self._ring:
            return 0.0
        first = self._due.first()
        return min(
            max((first - now_ms) / 1000, 0.0) if first is not None else NEVER,
            max(self._alarms[0][0] - now, 0.0) if self._alarms else NEVER,
        )

    def left(self, site: Site, now: float) -> None:
        """A delivery to the site has ended, or it was woken: what is parked there may have its turn."""
        if site.parked:
            self._enroll(site, now)

    def _from_due(self, now_ms: int) -> Job | None:
        first, ready = self._due.first(), next(iter(self._ready.values()), None)
        if first is not None and first <= (ready.due_ms if ready is not None else now_ms):
            due_ms, name = self._due.pop()
            return self._cold(name, due_ms)
        return self._ready.popitem(last=False)[1] if ready is not None else None

    def _from_sites(self, now: float) -> Job | None:
        while self._ring:
            site = self._ring.popleft()
            site.queued = False
            job = self.next_at(site, now)
            if site.parked:
                self._enroll(site, now)
            if job is not None:
                return job
        return None

    def _unpark(self, site: Site, now: float) -> Job:
        name, job = site.parked.popitem(last=False)
        del self._parked[name]
        job = job or self._cold(name, 0)
        site.enter(now)
        job.seat = site
        return job

    def _cold(self, name: str, due_ms: int) -> Job:
        return Job(due_ms, QueueFileName.parse(name), self._unsaved.pop(name, None))

    def _enroll(self, site: Site, now: float) -> None:
        """Put a site where it is found when it has room: in the ring now, or later by an alarm; or leave() will do it."""
        wait = site.wait(now)
        if wait == 0:
            if not site.queued:
                site.queued = True
                self._ring.append(site)
        elif wait != NEVER and not site.alarmed:
            site.alarmed = True
            heapq.heappush(self._alarms, (now + wait, id(site), site))

    def _ring_alarms(self, now: float) -> None:
        while self._alarms and self._alarms[0][0] <= now:
            site = heapq.heappop(self._alarms)[2]
            site.alarmed = False
            self.left(site, now)

    # -- what an operator does

    def take(self, name: str) -> Job | None:
        """Take out the entry of that name, wherever it waits; None when it does not."""
        site = self._parked.pop(name, None)
        if site is not None:
            return site.parked.pop(name) or self._cold(name, 0)
        if name in self._ready:
            return self._ready.pop(name)
        if name in self._held:
            self._held.discard(name)
            return self._cold(name, HELD_MS)
        due_ms = self._due.due(name)
        if due_ms is None:
            return None
        self._due.remove(name)
        return self._cold(name, due_ms)

    def flush(self, now: float) -> None:
        """Everything but what is held is due now, and no site rests."""
        self._due.flush()
        for site in self.sites:
            site.wake()
            self.left(site, now)

    def reconsider(self, now: float) -> None:
        """Limits or suspensions have changed: look at every site again."""
        for site in self.sites:
            self.left(site, now)

    def shift(self, by_ms: int) -> None:
        """The wall clock was set back: what waits goes on waiting for as long as it would have."""
        self._due.shift(by_ms)

    def gates(self, name: str, now_ms: int, now: float) -> list[Gate] | None:
        """What an entry waits for; an empty list when nothing but its turn, None when it does not wait here."""
        if name in self._held:
            return [Gate("held", "an operator holds it")]
        if name in self._ready:
            return []
        site = self._parked.get(name)
        if site is not None:
            gate = site.gate(now)
            return [gate] if gate is not None else []
        due_ms = self._due.due(name)
        if due_ms is None:
            return None
        return [Gate("backoff", "the next attempt is not due", due_ms / 1000)] if due_ms > now_ms else []

    def counts(self) -> dict[str, int]:
        """How much waits for what."""
        return {
            "scheduled": len(self._due),
            "held": len(self._held),
            "ready": len(self._ready),
            "parked": len(self._parked),
        }
