"""The way that mail for a domain takes, remembered for the mail that comes after it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop

MAX_PLANS = 1000
PLAN_SECONDS = 1.0  # the DNS, which has a cache of its own, may know better by then


class Plan(NamedTuple):
    """One host that takes all of it. grounds: what this follows from; site, failover_on: as in a Route."""

    grounds: tuple[object, ...]
    site: str
    hop: NextHop
    failover_on: str


class Plans:
    """Plans by domain, each for a second: to find the way anew each time costs a relay of 1 KB 5 %."""

    __slots__ = ("_plans",)

    def __init__(self) -> None:
        self._plans: dict[str, tuple[float, Plan]] = {}

    def find(self, domain: str, grounds: tuple[object, ...]) -> Plan | None:
        """The plan for a domain, if it still stands on these grounds."""
        until, plan = self._plans.get(domain, (0.0, None))
        if plan is None or until < time.monotonic() or plan.grounds != grounds:
            return None
        return plan

    def keep(self, domain: str, plan: Plan) -> None:
        """Remember a plan."""
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        self._plans[domain] = time.monotonic() + PLAN_SECONDS, plan
