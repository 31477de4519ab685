"""One attempt at one entry, from reading it to what becomes of it, or to the site where it has to wait."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import replace

from mta.logger import Logger
from mta.outbound import delivery_events
from mta.outbound.backoff import delay
from mta.outbound.delivery import Deliverer
from mta.outbound.feedback import nobody_there
from mta.outbound.hmail import HMail
from mta.outbound.job import Job
from mta.outbound.mx import NoRoute
from mta.outbound.outcome import DEFERRED, Outcome, Outcomes, fate_of
from mta.outbound.qfile import QueueFileName
from mta.outbound.route import Route
from mta.outbound.settle import TROUBLE_WAIT, Later, Settler, seconds
from mta.outbound.sites import Site, Sites
from mta.outbound.spool import CorruptEntry, EntryGone, Spool, SpoolError
from mta.plugin.runner import HookRunner
from mta.plugin.verdict import DELAY
from mta.smtp.reply import Reply

MAX_HINTS = 10_000
POSTPONE_SECONDS = 60.0  # when hook send_email says DELAY without saying how long


class Attempts:
    """Makes attempts. sites: where each is counted; left: told when one of them has a place free.

    hints: the site of a domain's last attempt, for who wants to guess.
    """

    __slots__ = ("_deliverer", "_left", "_logger", "_runner", "_settler", "_sites", "_spool", "hints")

    def __init__(
        self,
        spool: Spool,
        deliverer: Deliverer,
        settler: Settler,
        runner: HookRunner,
        sites: Sites,
        logger: Logger,
        left: Callable[[Site], None],
    ) -> None:
        self._spool = spool
        self._deliverer = deliverer
        self._settler = settler
        self._runner = runner
        self._sites = sites
        self._logger = logger
        self._left = left
        self.hints: dict[str, Site] = {}

    def make(self, job: Job) -> Later | Site | None:
        """Attempt a delivery: when the entry is due again, the site where it must wait first, or None: it is done with.

        Afterwards the job has no seat. Never raises an Exception.
        """
        try:
            return self._make(job)
        except Exception as error:
            # Whatever a message provokes in our own code must not cost it its place, nor others theirs.
            self._logger.crit(
                f"delivery of {job.name} failed: {type(error).__name__}: {error}",
                {"traceback": traceback.format_exc()},
                origin="outbound",
                uuid=job.todo.uuid if job.todo is not None else "-",
            )
            return self._put_off(job)
        finally:
            if job.seat is not None:
                self._stand_up(job)

    def _make(self, job: Job) -> Later | Site | None:
        if job.hot is not None and job.todo is not None:
            hmail = HMail(job.name, job.todo, job.hot, self._logger, notes=job.notes)
        else:
            found = self._open(job)
            if not isinstance(found, HMail):
                return found
            hmail = found
        if not hmail.todo.rcpt_to:
            return self._settler.forget(hmail)
        held = hmail.todo.hold_until - _now_ms() if hmail.todo.extra else 0
        if held > 0:  # somebody flushed the queue: what was promised to its sender holds
            return self._settler.postpone(hmail, held / 1000, hmail.num_failures)
        if self._runner.chains["send_email"] and not job.asked:
            verdict = self._runner.run("send_email", hmail)
            if verdict.code is DELAY:
                wait = seconds(verdict.message, POSTPONE_SECONDS)
                hmail.loginfo(f"delivery delayed for {wait:g} seconds by {verdict.plugin}")
                later = self._settler.postpone(hmail, wait, hmail.num_failures)
                if self._settler.events.on:
                    delivery_events.delayed(self._settler.events, hmail, verdict.plugin, later.due_ms)
                return replace(later, reason=f"delayed by plugin {verdict.plugin}")
            job.asked, job.notes = True, hmail.notes
        try:
            route = self._deliverer.route(hmail)
        except NoRoute as error:
            nowhere = Outcome(fate_of(error.reply), error.reply, expired=error.expired)
            return self._settler.settle(hmail, _all(hmail, nowhere))
        return self._to_site(job, hmail, route)

    def _to_site(self, job: Job, hmail: HMail, route: Route) -> Later | Site | None:
        site = self._sites.of(hmail.todo.domain, route.site, route.chosen)
        if self.hints.get(hmail.todo.domain) is not site:
            self._hint(hmail.todo.domain, site)
        now = time.monotonic()
        if job.seat is not site:
            self._stand_up(job)
            if site.wait(now):
                return site
            site.enter(now)
            job.seat = site
        if rest := site.rest(now):
            return self._settler.settle(hmail, _all(hmail, _untried(site, rest)))
        outcomes = self._deliverer.deliver(hmail, route)
        self._learn(site, hmail, outcomes)
        self._stand_up(job)
        return self._settler.settle(hmail, outcomes)

    def _hint(self, domain: str, site: Site) -> None:
        if len(self.hints) >= MAX_HINTS:
            self.hints.clear()
        self.hints[domain] = site

    def _learn(self, site: Site, hmail: HMail, outcomes: Outcomes) -> None:
        why = nobody_there(outcomes)
        if why is None:
            site.succeeded()
            return
        now = time.monotonic()
        if site.failed(why, now):
            hmail.logwarn(
                f"{site.name} does not answer, its mail is deferred without asking for {site.rest(now):.0f} seconds: {why}"
            )

    def _stand_up(self, job: Job) -> None:
        if job.seat is not None:
            site, job.seat = job.seat, None
            site.leave()
            if site.parked:
                self._left(site)

    def _open(self, job: Job) -> HMail | Later | None:
        """The entry as a mail, read from disk; None when there is none, or none that can be read."""
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
        stale = job.todo is not None
        return HMail(job.name, job.todo or todo, message, self._logger, stale=stale, notes=job.notes)

    def _set_aside(self, name: QueueFileName, error: CorruptEntry) -> None:
        self._logger.error(f"corrupt queue file {name} set aside as error.{name}: {error}", origin="outbound")
        try:
            self._spool.quarantine(name)
        except SpoolError as trouble:
            self._logger.error(f"cannot set {name} aside: {trouble}", origin="outbound")

    def _put_off(self, job: Job) -> Later:
        """Move an entry to its next attempt after a failure of our own: it never runs out of retries."""
        waits = self._settler.waits_for(job.todo.domain if job.todo is not None else "")
        attempts = job.name.attempts + 1
        wait = delay(attempts, waits) or (waits[-1] if waits else TROUBLE_WAIT)
        later = self._settler.move(job.name, attempts, wait)
        return later if job.hot is not None else Later(later.name, later.due_ms, job.todo)


def _all(hmail: HMail, outcome: Outcome) -> Outcomes:
    return dict.fromkeys(hmail.todo.rcpt_to, outcome)


def _untried(site: Site, rest: float) -> Outcome:
    text = f"not tried, {site.name} does not answer (again in {rest:.0f} s): {site.last_failure}"
    return Outcome(DEFERRED, Reply(451, text, "4.4.1"))


def _now_ms() -> int:
    return int(time.time() * 1000)
