"""Places that take mail, each with what we know about it: how much may go there at a time, and who waits for that."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mta.outbound.gate import Gate, moment
from mta.outbound.pace import Pace
from mta.outbound.window import Window

if TYPE_CHECKING:
    from mta.config.schema import LimitSettings
    from mta.outbound.job import Job
    from mta.outbound.limits import Limits
    from mta.outbound.suspensions import Suspensions

NEVER = float("inf")
MAX_SITES = 10_000  # that are remembered without anything under way or waiting there
SWEEP_SECONDS = 10.0  # between two looks for those, since each costs a glance at all
SUSPENDED_LOOK = 5.0  # seconds; a suspension ends by the wall clock, which may be set


class Site:
    """One site, domain or smarthost. parked: the jobs that wait for it, by name of their queue file, oldest first; None for
    one whose name says it all.

    busy: deliveries under way; queued: it stands in the engine's ring; chosen: an operator or a plugin named its hosts.
    """

    __slots__ = (
        "_pace",
        "_rest_until",
        "_suspensions",
        "_unreachable_wait",
        "_window",
        "alarmed",
        "busy",
        "chosen",
        "last_failure",
        "name",
        "parked",
        "queued",
        "used",
    )

    def __init__(self, name: str, chosen: bool, suspensions: Suspensions) -> None:
        self.name = name
        self.chosen = chosen
        self.busy = 0
        self.parked: OrderedDict[str, Job | None] = OrderedDict()
        self.queued = False
        self.alarmed = False
        self.last_failure = ""
        self.used = 0.0
        self._suspensions = suspensions
        self._window = Window(1, 1, 0)
        self._pace: Pace | None = None
        self._rest_until = 0.0
        self._unreachable_wait = 0

    def configure(self, settings: LimitSettings, concurrency: int) -> None:
        """Take over limits; at the first call, begin with them. concurrency: the most deliveries at a time."""
        initial, patience = settings.initial_concurrency, settings.unreachable_after
        if self.used:
            self._window.configure(initial, concurrency, patience)
        else:
            self._window = Window(initial, concurrency, patience)
        self._pace = Pace(settings.rate) if settings.rate else None
        self._unreachable_wait = settings.unreachable_wait

    # -- may a delivery begin?

    def wait(self, now: float) -> float:
        """Seconds until a delivery may begin: 0 for at once, NEVER until another one ends or somebody resumes the site.

        now: time.monotonic(). A resting site is open: what comes to it is deferred at once.
        """
        if self._suspensions.by_scope and self._suspensions.of(self.name) is not None:
            return SUSPENDED_LOOK
        if self._rest_until > now:
            return 0.0
        if self.busy >= self._window.size:
            return NEVER
        return self._pace.wait(now) if self._pace is not None else 0.0

    def enter(self, now: float) -> None:
        """A delivery begins."""
        self.busy += 1
        self.used = now
        if self._pace is not None:
            self._pace.take(now)

    def leave(self) -> None:
        """A delivery, or the intention of one, has ended."""
        self.busy -= 1

    def rest(self, now: float) -> float:
        """Seconds for which nothing should be tried, 0 when the site does not rest."""
        return self._rest_until - now if self._rest_until > now else 0.0

    # -- how did it go?

    def succeeded(self) -> None:
        """Somebody was there. Called before leave()."""
        self._window.succeeded(self.busy)
        self._rest_until = 0.0

    def failed(self, why: str, now: float) -> bool:
        """Nobody was there. True when the site begins a rest, of which the log should tell."""
        self.last_failure = why
        if not self._window.failed():
            return False
        self._rest_until = now + self._unreachable_wait
        return True

    def wake(self) -> None:
        """End the rest: an operator wants it tried."""
        self._rest_until = 0.0

    # -- what is it doing?

    @property
    def concurrency(self) -> int:
        """How many deliveries may be under way at the moment."""
        return self._window.size

    def gate(self, now: float) -> Gate | None:
        """What keeps a delivery from beginning, for people."""
        suspension = self._suspensions.of(self.name) if self._suspensions else None
        if suspension is not None:
            why = f" ({suspension.reason})" if suspension.reason else ""
            return Gate("suspended", f"{suspension.scope} is suspended{why}", suspension.until)
        rest = self.rest(now)
        if rest:
            return Gate("resting", f"{self.name} does not answer: {self.last_failure}", time.time() + rest)
        if self.busy >= self._window.size:
            text = f"{self.busy} of {self._window.size} deliveries to {self.name} are under way, {len(self.parked)} messages wait"
            return Gate("site concurrency", text)
        wait = self._pace.wait(now) if self._pace is not None else 0.0
        return Gate("rate", f"the rate limit of {self.name}", time.time() + wait) if wait else None

    def stats(self, now: float) -> dict[str, object]:
        """The figures of one line in a table, all of them JSON values."""
        suspension = self._suspensions.of(self.name) if self._suspensions else None
        rest = self.rest(now)
        return {
            "site": self.name,
            "busy": self.busy,
            "concurrency": self._window.size,
            "waiting": len(self.parked),
            "resting_until": moment(time.time() + rest) if rest else None,
            "suspended": suspension is not None,
            "last_failure": self.last_failure or None,
        }


class Sites:
    """The sites that are in use, by name. most: gives the deliveries that may be under way in all."""

    __slots__ = ("_by_name", "_limits", "_most", "_swept", "suspensions")

    def __init__(self, limits: Limits, suspensions: Suspensions, most: Callable[[], int]) -> None:
        self._limits = limits
        self._most = most
        self._by_name: dict[str, Site] = {}
        self._swept = 0.0
        self.suspensions = suspensions

    def __iter__(self) -> Iterator[Site]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str) -> Site | None:
        """The site of that name, if it is in use."""
        return self._by_name.get(name)

    def of(self, domain: str, site: str, chosen: bool) -> Site:
        """Where mail for a domain is counted: with its site, or apart when somebody said something about the domain."""
        suspensions = self.suspensions
        apart = domain in self._limits.sections or (suspensions.by_scope and suspensions.names(domain))
        name = domain if apart else site
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = Site(name, chosen, self.suspensions)
            self._configure(found)
        return found

    def configure(self, limits: Limits | None = None) -> None:
        """Take over other limits, or another number of deliveries in all, for the sites in use as well."""
        self._limits = limits or self._limits
        for site in self._by_name.values():
            self._configure(site)

    def forget_idle(self, now: float) -> bool:
        """Drop what is not in use when there are many; True when that was done."""
        if len(self._by_name) <= MAX_SITES or now < self._swept + SWEEP_SECONDS:
            return False
        self._swept = now
        for name, site in list(self._by_name.items()):
            if not site.busy and not site.parked and not site.rest(now):
                del self._by_name[name]
        return True

    def _configure(self, site: Site) -> None:
        concurrency = self._limits.concurrency(site.name, site.chosen, self._most())
        site.configure(self._limits.of(site.name), concurrency)
