"""After a delivery attempt: tell, bounce, keep. A crash between two steps repeats work and loses no recipient."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mta.logger import NOTICE, Logger
from mta.outbound.backoff import delay
from mta.outbound.hmail import HMail
from mta.outbound.outcome import DEFERRED, DELIVERED, FAILED, Outcome, Outcomes, Peer, select
from mta.outbound.qfile import QueueFileName
from mta.outbound.spool import Spool, SpoolError
from mta.outbound.todo import Todo
from mta.plugin.outcome import Deferral, Failure, Receipt
from mta.plugin.runner import HookRunner
from mta.plugin.verdict import CONT, DENYSOFT
from mta.smtp.address import Address
from mta.smtp.reply import Reply

TROUBLE_WAIT = 300  # seconds until the next try when the disk refuses what must be written
MAX_WAIT = 365 * 86400
NO_OUTCOME = Outcome(DEFERRED, Reply(451, "the attempt ended without an answer", "4.3.0"))


@dataclass(frozen=True, slots=True)
class Later:
    """The entry stays in the queue until due_ms (milliseconds since 1970).

    unsaved: the envelope that could not be written to disk; the one in the file still names recipients that are done.
    reason: why it was put off, in one line.
    """

    name: QueueFileName
    due_ms: int
    unsaved: Todo | None = None
    reason: str = ""


SendBounce = Callable[[HMail, dict[Address, Outcome]], Reply]


class Settler:
    """Turns the outcomes of an attempt into log lines, hooks, a bounce, and what becomes of the entry.

    waits: the retry schedule in seconds, change it at any time. send_bounce: makes the report durable and answers 250,
    or says in its reply why it could not.
    """

    __slots__ = ("_logger", "_runner", "_send_bounce", "_spool", "waits")

    def __init__(
        self,
        spool: Spool,
        runner: HookRunner,
        logger: Logger,
        send_bounce: SendBounce,
        waits: tuple[int, ...] = (),
    ) -> None:
        self._logger = logger
        self._spool = spool
        self._runner = runner
        self._send_bounce = send_bounce
        self.waits = waits

    def settle(self, hmail: HMail, outcomes: Outcomes) -> Later | None:
        """Do what the outcomes ask for; None when the entry is done with, else when it is due again.

        A recipient without an outcome counts as deferred.
        """
        outcomes = {rcpt: outcomes.get(rcpt, NO_OUTCOME) for rcpt in hmail.todo.rcpt_to}
        self._tell_delivered(hmail, outcomes)
        wait: float | None = delay(hmail.num_failures + 1, self.waits)
        failures = {rcpt: why for rcpt, why in outcomes.items() if why.fate is FAILED}
        deferrals = {rcpt: why for rcpt, why in outcomes.items() if why.fate is DEFERRED}
        if wait is None:
            failures.update((rcpt, why.give_up()) for rcpt, why in deferrals.items())
            deferrals = {}
        if failures and self._bounced(hmail, failures, list(deferrals)):
            failures = {}
        if deferrals:
            wait = self._wait_for(hmail, deferrals, wait or TROUBLE_WAIT)
            deferrals = deferrals if wait is not None else {}
        left = [rcpt for rcpt in outcomes if rcpt in failures or rcpt in deferrals]
        if not left:
            return self.forget(hmail)
        return replace(self._keep(hmail, left, wait or TROUBLE_WAIT), reason=_why(outcomes[left[0]]))

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
        for rcpt, why in failures.items():
            hmail.lognotice(f"recipient {rcpt} rejected: {why.reason}")
        first = next(iter(failures.values()))
        mx = first.peer.hop if first.peer else None
        failure = Failure(first.reason, list(failures), mx, deferred=deferred)
        verdict = self._runner.run("bounce", hmail, failure)
        if verdict.code is not CONT:
            hmail.lognotice(f"Plugin responded with: {verdict.code.name}. Not sending bounce.")
            return True
        if hmail.todo.mail_from.is_null:
            self._tell_double_bounce(hmail, failures)
            return True
        return self._sent(hmail, failures)

    def _sent(self, hmail: HMail, failures: dict[Address, Outcome]) -> bool:
        hmail.lognotice("bouncing mail", {"to": hmail.todo.mail_from.address, "rcpts": _names(failures)})
        try:
            reply = self._send_bounce(hmail, failures)
        except Exception as error:
            # What was delivered must still be noted, so this must not end the settlement.
            hmail.logger.crit(
                f"cannot make a bounce: {error}",
                {"traceback": traceback.format_exc()},
                origin="outbound",
                uuid=hmail.uuid,
            )
            return False
        if reply.kind == 5:
            # A plugin keeps it in, or nobody can be told by such a sender: no later attempt changes that.
            hmail.logerror(f"no bounce is sent: {reply}")
            return True
        if reply.kind != 2:
            hmail.logerror(f"cannot queue a bounce, will try again: {reply}")
        return reply.kind == 2

    def _tell_double_bounce(self, hmail: HMail, failures: dict[Address, Outcome]) -> None:
        """RFC 5321 6.1: a report about a report is never sent; the log is all that is left of it."""
        first = next(iter(failures.values()))
        fields = {
            "file": hmail.filename,
            "domain": hmail.todo.domain,
            "rcpts": _names(failures),
            "host": first.peer.host if first.peer else "",
            "response": first.reason,
            "delay": f"{_age(hmail):.3f}",
            "fails": hmail.num_failures,
        }
        hmail.lognotice("double bounce", fields)

    # -- deferred

    def _wait_for(self, hmail: HMail, deferrals: dict[Address, Outcome], wait: float) -> float | None:
        """Seconds until the deferred recipients are tried again; None when a plugin drops them."""
        for rcpt, why in deferrals.items():
            hmail.lognotice(f"recipient {rcpt} deferred: {why.reason}")
        first = next(iter(deferrals.values()))
        if self._runner.has("deferred"):
            deferral = Deferral(wait, first.reason, list(deferrals), first.peer.hop if first.peer else None)
            verdict = self._runner.run("deferred", hmail, deferral)
            if verdict.code is DENYSOFT:
                wait = seconds(verdict.message, wait)
            elif verdict.code is not CONT:
                hmail.lognotice(f"plugin responded with: {verdict.code.name}. Not deferring. Deleting mail.")
                return None
        hmail.lognotice(f"Temp failing {hmail.filename} for {wait:g} seconds: {first.reason}")
        return wait

    def _keep(self, hmail: HMail, left: list[Address], wait: float) -> Later:
        """Take out who is done, then move the entry to its next attempt; its arrival time stays."""
        if hmail.stale or len(left) < len(hmail.todo.rcpt_to):
            hmail.todo = hmail.todo.with_recipients(left)
            hmail.stale = not self._written(hmail)
        return self.postpone(hmail, wait, hmail.num_failures + 1)

    def _written(self, hmail: HMail) -> bool:
        try:
            self._spool.rewrite(hmail.name, hmail.todo)
        except SpoolError as error:
            hmail.logerror(f"cannot rewrite {hmail.filename}, will remember who is done: {error}")
            return False
        return True


def seconds(answer: object, default: float) -> float:
    """The seconds that a plugin named, or `default` when it named none that make sense."""
    try:
        wait = float(str(answer))
    except ValueError:
        return default
    return min(max(wait, 0.0), MAX_WAIT) if wait == wait else default


def _why(outcome: Outcome) -> str:
    host = f"{outcome.peer.host} said: " if outcome.peer is not None else ""
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


def _names(rcpts: dict[Address, Outcome]) -> str:
    return ", ".join(map(str, rcpts))
