"""After a delivery attempt: tell, bounce, keep. A crash between two steps repeats work and loses no recipient."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import replace

from mta.config.bounce_rules import BounceRules
from mta.config.schema import OutboundSettings
from mta.events import Events
from mta.logger import NOTICE, Logger
from mta.outbound import delivery_events
from mta.outbound.backoff import delay, gives_up_at, jittered, retries_until
from mta.outbound.counters import Counters
from mta.outbound.hmail import HMail
from mta.outbound.notify import Notifier, SendReport
from mta.outbound.outcome import (
    DEFERRED,
    DELIVERED,
    FAILED,
    NO_RETRIES,
    NO_TIME,
    Fate,
    Outcome,
    Outcomes,
    Peer,
    select,
)
from mta.outbound.qfile import QueueFileName
from mta.outbound.spool import Spool, SpoolError
from mta.outbound.todo import Todo
from mta.plugin.outcome import Deferral, Failure, Receipt
from mta.plugin.runner import HookRunner
from mta.plugin.verdict import CONT, DENYSOFT
from mta.record import record
from mta.smtp.address import Address
from mta.smtp.reply import Reply

TROUBLE_WAIT = 300  # seconds until the next try when the disk refuses what must be written
MAX_WAIT = 365 * 86400
AT_ONCE = 1.0  # seconds; an attempt that ends so shortly before the last moment was the last
NO_OUTCOME = Outcome(DEFERRED, Reply(451, "the attempt ended without an answer", "4.3.0"))


@record
class Later:
    """The entry stays in the queue until due_ms (milliseconds since 1970).

    unsaved: the envelope that could not be written to disk; the one in the file still names recipients that are done.
    reason: why it was put off, in one line.
    """

    name: QueueFileName
    due_ms: int
    unsaved: Todo | None = None
    reason: str = ""


WaitsFor = Callable[[str], tuple[int, ...]]


class Settler:
    """Turns the outcomes of an attempt into log lines, hooks, reports, and what becomes of the entry.

    waits_for: the retry schedule of a domain in seconds. send_report: makes a report durable and answers 250, or says in
    its reply why it could not. me: our host name. `waits_for`, `rules` and, with configure(), the settings may be changed
    at any time. events: where it tells what became of recipients.
    """

    __slots__ = (
        "_logger",
        "_notifier",
        "_runner",
        "_settings",
        "_spool",
        "counters",
        "events",
        "rules",
        "waits_for",
    )

    def __init__(
        self,
        spool: Spool,
        runner: HookRunner,
        logger: Logger,
        send_report: SendReport,
        waits_for: WaitsFor,
        *,
        me: str,
        settings: OutboundSettings,
        rules: BounceRules | None = None,
        events: Events | None = None,
    ) -> None:
        self.events = events or Events()
        self._logger = logger
        self._spool = spool
        self._runner = runner
        self._settings = settings
        self.counters = Counters()
        self._notifier = Notifier(send_report, me, settings, self.counters)
        self.waits_for = waits_for
        self.rules = rules or BounceRules(())

    def configure(self, settings: OutboundSettings) -> None:
        """Take over changed settings."""
        self._settings = settings
        self._notifier.settings = settings

    def settle(self, hmail: HMail, outcomes: Outcomes) -> Later | None:
        """Do what the outcomes ask for; None when the entry is done with, else when it is due again.

        A recipient without an outcome counts as deferred.
        """
        rcpts = hmail.todo.rcpt_to
        if len(outcomes) == len(rcpts) and _are_delivered(outcomes):
            self._announce(hmail, outcomes, outcomes)
            self.counters.delivered += len(outcomes)
            return self._forget_settled(hmail, outcomes)
        outcomes = {rcpt: outcomes.get(rcpt, NO_OUTCOME) for rcpt in rcpts}
        successes = _of(DELIVERED, outcomes)
        if successes:
            self._announce(hmail, outcomes, successes)
        failures, deferrals = _of(FAILED, outcomes), _of(DEFERRED, outcomes)
        wait = self._next_wait(hmail) if deferrals else None
        if isinstance(wait, str):
            failures.update((rcpt, why.give_up(wait)) for rcpt, why in deferrals.items())
            wait, deferrals = None, {}
        self._count(successes, failures, deferrals)
        self.counters.expired += sum(why.expired != "" for why in failures.values())
        if failures and self._bounced(hmail, failures, list(deferrals)):
            failures = {}
        if deferrals and wait is not None:
            wait = self._wait_for(hmail, deferrals, wait)
            deferrals = deferrals if wait is not None else {}
        left = [rcpt for rcpt in outcomes if rcpt in failures or rcpt in deferrals]
        if not left:
            return self._forget_settled(hmail, successes)
        if wait is None:
            wait = TROUBLE_WAIT
        later = self._keep(hmail, left, wait, successes, deferrals)
        if self.events.on:
            waiting = {**failures, **deferrals}
            delivery_events.deferred(self.events, hmail, waiting, self._category, later.due_ms)
        return replace(later, reason=_why(outcomes[left[0]]))

    def postpone(self, hmail: HMail, wait: float, attempts: int) -> Later:
        """Put the whole entry off for so many seconds; durable if the disk lets us."""
        later = self.move(hmail.name, attempts, wait)
        return Later(later.name, later.due_ms, hmail.todo) if hmail.stale else later

    def move(self, name: QueueFileName, attempts: int, wait: float) -> Later:
        """Give a queue file its next attempt; when the disk refuses, only our memory knows."""
        due_ms = _now_ms() + int(wait * 1000)
        try:
            return Later(self._spool.reschedule(name, attempts, due_ms), due_ms)
        except SpoolError as error:
            self._logger.error(f"cannot reschedule {name}: {error}", origin="outbound")
            return Later(name, due_ms)

    def forget(self, hmail: HMail) -> Later | None:
        """Remove the entry: every recipient is accounted for."""
        try:
            self._spool.forget(hmail.name)
        except SpoolError as error:
            hmail.logerror(f"cannot remove {hmail.filename}: {error}")
            return Later(hmail.name, _now_ms() + TROUBLE_WAIT * 1000, hmail.todo.with_recipients([]))
        return None

    # -- delivered

    def _announce(self, hmail: HMail, outcomes: Outcomes, successes: Outcomes) -> None:
        """Tell the log, plugins, whoever reads events, and a sender who asked for it."""
        if hmail.logger.level >= NOTICE or self._runner.chains["delivered"]:
            self._tell_delivered(hmail, outcomes)
        if self.events.on:
            delivery_events.delivered(self.events, hmail, successes)
        if hmail.todo.extra:  # where a wish for such a report would stand
            self._notifier.delivered(hmail, successes)

    def _tell_delivered(self, hmail: HMail, outcomes: Outcomes) -> None:
        by_peer: dict[Peer, list[Address]] = {}
        for rcpt, outcome in outcomes.items():
            if outcome.fate is DELIVERED and outcome.peer is not None:
                by_peer.setdefault(outcome.peer, []).append(rcpt)
        for peer, rcpts in by_peer.items():
            self._log_delivered(hmail, peer, outcomes, rcpts)
            if self._runner.has("delivered"):
                self._runner.run("delivered", hmail, _receipt(hmail, peer, outcomes, rcpts))

    def _log_delivered(self, hmail: HMail, peer: Peer, outcomes: Outcomes, rcpts: Sequence[Address]) -> None:
        if hmail.logger.level < NOTICE:
            return
        deferred, failed = len(select(outcomes, DEFERRED)), len(select(outcomes, FAILED))
        fields = {
            "file": hmail.filename,
            "domain": hmail.todo.domain,
            "host": peer.host,
            "ip": peer.ip,
            "port": peer.port,
            "mode": peer.mode,
            "tls": _letter(peer.secured),
            "auth": _letter(peer.authenticated),
            "response": str(outcomes[rcpts[0]].reply),
            "delay": f"{_age(hmail):.3f}",
            "fails": hmail.num_failures,
            "rcpts": f"{len(rcpts)}/{deferred}/{failed}",
        }
        hmail.lognotice("delivered", fields)

    # -- failed

    def _bounced(self, hmail: HMail, failures: dict[Address, Outcome], deferred: Sequence[Address]) -> bool:
        """True when the failed recipients may be forgotten: their sender will know, or nobody wants him to."""
        category = self._tell_reasons(hmail, "rejected", failures)
        first = next(iter(failures.values()))
        mx = first.peer.hop if first.peer else None
        failure = Failure(first.reason, list(failures), mx, category, deferred)
        verdict = self._runner.run("bounce", hmail, failure)
        if verdict.code is not CONT:
            hmail.lognotice(f"Plugin responded with: {verdict.code.name}. Not sending bounce.")
            self._tell_bounced(hmail, failures, verdict.plugin)
            return True
        if not self._notifier.failed(hmail, failures):
            return False
        self._tell_bounced(hmail, failures)
        return True

    def _tell_bounced(self, hmail: HMail, given_up: Mapping[Address, Outcome], plugin: str = "") -> None:
        """plugin: who wants that the sender is not told."""
        if not self.events.on:
            return
        told = {} if plugin else self._notifier.wanted(hmail, given_up)
        untold = {rcpt: why for rcpt, why in given_up.items() if rcpt not in told}
        for outcomes, reported in ((told, True), (untold, False)):
            delivery_events.bounced(
                self.events, hmail, outcomes, self._category, reported=reported, plugin=plugin
            )

    def _tell_reasons(self, hmail: HMail, what: str, outcomes: Outcomes) -> str:
        """Write a line for each recipient; returns the category of the first."""
        known: dict[Outcome, str] = {}  # many recipients share one answer
        for rcpt, why in outcomes.items():
            if why not in known:
                known[why] = self._category(why)
            hmail.lognotice(f"recipient {rcpt} {what}: {why.reason}", {"category": known[why]})
        return next(iter(known.values()))

    def _category(self, why: Outcome) -> str:
        if why.expired == NO_TIME:
            return "expired"
        return self.rules.classify(why.reply.code, why.reply.enhanced or "", why.reply.text)

    # -- deferred

    def _next_wait(self, hmail: HMail) -> float | str:
        """Seconds until the next attempt by the schedule, or why there is none: NO_TIME, NO_RETRIES."""
        end = gives_up_at(hmail.todo, self._settings.maximum_age)
        if end is not None and time.time() > end - AT_ONCE:
            return NO_TIME
        wait = delay(hmail.num_failures + 1, self.waits_for(hmail.todo.domain))
        return NO_RETRIES if wait is None else jittered(wait, self._settings.retry_jitter)

    def _wait_for(self, hmail: HMail, deferrals: dict[Address, Outcome], wait: float) -> float | None:
        """Seconds until the deferred recipients are tried again; None when a plugin drops them."""
        category = self._tell_reasons(hmail, "deferred", deferrals)
        first = next(iter(deferrals.values()))
        if self._runner.has("deferred"):
            hop = first.peer.hop if first.peer else None
            deferral = Deferral(wait, first.reason, list(deferrals), hop, category)
            verdict = self._runner.run("deferred", hmail, deferral)
            if verdict.code is DENYSOFT:
                wait = seconds(verdict.message, wait)
            elif verdict.code is not CONT:
                hmail.lognotice(f"plugin responded with: {verdict.code.name}. Not deferring. Deleting mail.")
                self._tell_bounced(hmail, deferrals, verdict.plugin)
                return None
        wait = self._in_time(hmail, wait)
        hmail.lognotice(f"Temp failing {hmail.filename} for {round(wait, 3):.10g} seconds: {first.reason}")
        return wait

    def _in_time(self, hmail: HMail, wait: float) -> float:
        """The wait, or less if the last attempt, or a word to the sender, is due before it ends."""
        now = time.time()
        moments = (
            gives_up_at(hmail.todo, self._settings.maximum_age),
            self._notifier.next_warning(hmail),
        )
        return min([wait, *(moment - now for moment in moments if moment is not None and moment > now)])

    # -- what is left

    def _keep(
        self,
        hmail: HMail,
        left: list[Address],
        wait: float,
        successes: Mapping[Address, Outcome],
        deferrals: Mapping[Address, Outcome],
    ) -> Later:
        """Take out who is done, then move the entry to its next attempt; its arrival time stays."""
        told = bool(deferrals) and self._notifier.delayed(hmail, deferrals, self._retries_until(hmail))
        if told or hmail.stale or len(left) < len(hmail.todo.rcpt_to):
            hmail.todo = hmail.todo.with_recipients(left)
            hmail.stale = not self._written(hmail)
            if hmail.stale and successes:
                self._may_come_twice(hmail, successes, "the entry can not be rewritten")
        uncertain = [rcpt for rcpt, why in deferrals.items() if why.uncertain]
        if uncertain:
            self._may_come_twice(hmail, uncertain, "no reply to the message")
        return self.postpone(hmail, wait, hmail.num_failures + 1)

    def _retries_until(self, hmail: HMail) -> float:
        waits = self.waits_for(hmail.todo.domain)
        end = gives_up_at(hmail.todo, self._settings.maximum_age)
        return retries_until(time.time(), hmail.num_failures + 1, waits, end)

    def _forget_settled(self, hmail: HMail, successes: Mapping[Address, Outcome]) -> Later | None:
        later = self.forget(hmail)
        if later is not None and successes:
            self._may_come_twice(hmail, successes, "the entry can not be removed")
        return later

    def _may_come_twice(self, hmail: HMail, rcpts: Iterable[Address], why: str) -> None:
        """Only what happens next decides: a crash, or what the next hop did with the message."""
        names = [str(rcpt) for rcpt in rcpts]
        self.counters.possible_duplicates += len(names)
        fields = {"file": hmail.filename, "rcpts": ", ".join(names), "why": why}
        hmail.logwarn("possible duplicate", fields)

    def _count(self, successes: Sized, failures: Sized, deferrals: Sized) -> None:
        self.counters.delivered += len(successes)
        self.counters.failed += len(failures)
        self.counters.deferred += len(deferrals)

    def _written(self, hmail: HMail) -> bool:
        try:
            self._spool.rewrite(hmail.name, hmail.todo)
        except SpoolError as error:
            hmail.logerror(f"cannot rewrite {hmail.filename}, will remember who is done: {error}")
            return False
        return True


def _are_delivered(outcomes: Outcomes) -> bool:
    # Not by all(): for one recipient a generator costs four times the loop.
    for why in outcomes.values():  # noqa: SIM110
        if why.fate is not DELIVERED:
            return False
    return True


def _of(fate: Fate, outcomes: Outcomes) -> dict[Address, Outcome]:
    return {rcpt: why for rcpt, why in outcomes.items() if why.fate is fate}


def seconds(answer: object, default: float) -> float:
    """The seconds that a plugin named, or `default` when it named none that make sense."""
    try:
        wait = float(str(answer))
    except ValueError:
        return default
    return min(max(wait, 0.0), MAX_WAIT) if wait == wait else default


def _why(outcome: Outcome) -> str:
    host = f"{outcome.peer.host}: " if outcome.peer is not None else ""
    return f"{host}{outcome.reply}"


def _receipt(hmail: HMail, peer: Peer, outcomes: Outcomes, rcpts: Sequence[Address]) -> Receipt:
    return Receipt(
        host=peer.host,
        ip=peer.ip,
        port=peer.port,
        response=str(outcomes[rcpts[0]].reply),
        delay=_age(hmail),
        recipients=rcpts,
        mode=peer.mode,
        secured=peer.secured,
        authenticated=peer.authenticated,
    )


def _age(hmail: HMail) -> float:
    """Seconds since the mail arrived here."""
    return max(0.0, time.time() - hmail.todo.queue_time / 1000)


def _now_ms() -> int:
    return int(time.time() * 1000)


def _letter(flag: bool) -> str:
    return "Y" if flag else "N"
