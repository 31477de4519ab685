"""Who is told what became of a mail: bounces, delay warnings, reports of success, double bounces."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from mta.config.schema import OutboundSettings
from mta.outbound.bounce_report import Kind
from mta.outbound.counters import Counters
from mta.outbound.hmail import HMail
from mta.outbound.outcome import Outcome
from mta.smtp.address import Address, AddressError
from mta.smtp.reply import Reply

SendReport = Callable[[Kind, HMail, Mapping[Address, Outcome], Address, float | None], Reply]

DELAY, LATE = "delay", "late"
MAX_RECIPIENTS = 1000  # in one report: it takes 40 ms to make, and everybody waits for it


class Notifier:
    """Decides by NOTIFY (RFC 3461), BY (RFC 2852) and [reports], and sends what is to be sent.

    send_report: makes a report durable and answers 250, or says in its reply why it could not. me: our host name;
    `settings` may be changed at any time.
    """

    __slots__ = ("_counters", "_me", "_send_report", "settings")

    def __init__(
        self, send_report: SendReport, me: str, settings: OutboundSettings, counters: Counters
    ) -> None:
        self._send_report = send_report
        self._me = me
        self._counters = counters
        self.settings = settings

    def failed(self, hmail: HMail, failures: Mapping[Address, Outcome]) -> bool:
        """True when the failed recipients may be forgotten: their sender will know, or nobody wants him to."""
        todo = hmail.todo
        wanted = {rcpt: why for rcpt, why in failures.items() if todo.wants("FAILURE", rcpt)}
        if todo.mail_from.is_null:
            return self._double_bounce(hmail, failures, wanted)
        if not self.settings.reports.failures:
            hmail.lognotice("no bounce: [reports] failures is false", {"rcpts": _names(failures)})
            return True
        if unwanted := [rcpt for rcpt in failures if rcpt not in wanted]:
            hmail.lognotice("no bounce: the sender wants none", {"rcpts": _names(unwanted)})
        if wanted and not self._sent(Kind.FAILED, hmail, wanted, todo.mail_from):
            return False
        self._counters.bounced += len(wanted)
        return True

    def wanted(self, hmail: HMail, failures: Mapping[Address, Outcome]) -> dict[Address, Outcome]:
        """Those about whom the sender of the mail is told when they fail."""
        todo = hmail.todo
        if todo.mail_from.is_null or not self.settings.reports.failures:
            return {}
        return {rcpt: why for rcpt, why in failures.items() if todo.wants("FAILURE", rcpt)}

    def delivered(self, hmail: HMail, successes: Mapping[Address, Outcome]) -> None:
        """Report success to a sender who asked for it, unless the next hop will.

        A report that can not be queued is lost, as the log says: to keep the mail for it would deliver it again.
        """
        todo = hmail.todo
        if not todo.extra or todo.mail_from.is_null:
            return
        wanted = {rcpt: why for rcpt, why in successes.items() if self._is_success_news(hmail, rcpt, why)}
        if wanted:
            self._sent(Kind.DELIVERED, hmail, wanted, todo.mail_from)

    def delayed(self, hmail: HMail, deferrals: Mapping[Address, Outcome], retry_until: float) -> bool:
        """Tell the sender once that the mail still waits; True when hmail.todo remembers a new warning.

        retry_until: when it will be given up, in seconds since 1970.
        """
        due = self._warnings_due(hmail) - hmail.todo.told
        if not due or hmail.todo.mail_from.is_null:
            return False
        wanted = {rcpt: why for rcpt, why in deferrals.items() if hmail.todo.wants("DELAY", rcpt)}
        if wanted and not self._sent(Kind.DELAYED, hmail, wanted, hmail.todo.mail_from, retry_until):
            return False
        hmail.todo = hmail.todo.with_told(due)
        return True

    def next_warning(self, hmail: HMail) -> float | None:
        """When the sender of a mail with BY mode N is to be told that it is late; None: never, or he was told."""
        by = hmail.todo.deliver_by
        return None if by is None or by.returns or LATE in hmail.todo.told else by.moment

    # -- what is due

    def _warnings_due(self, hmail: HMail) -> frozenset[str]:
        now, after = time.time(), self.settings.reports.delay_warning
        late = self.next_warning(hmail)
        due = {DELAY} if after and now >= hmail.todo.waits_since + after else set()
        if late is not None and now >= late:
            due.add(LATE)
        return frozenset(due)

    def _is_success_news(self, hmail: HMail, rcpt: Address, outcome: Outcome) -> bool:
        by = hmail.todo.deliver_by
        if by is not None and by.trace and not hmail.todo.wants_nothing(rcpt):
            return True
        passed_on = outcome.peer is not None and outcome.peer.dsn
        return not passed_on and hmail.todo.wants("SUCCESS", rcpt)

    # -- double bounces

    def _double_bounce(
        self, hmail: HMail, failures: Mapping[Address, Outcome], wanted: Mapping[Address, Outcome]
    ) -> bool:
        """RFC 5321 6.1: a report about a report never goes back; the log tells, and the postmaster if he wants to know."""
        self._counters.double_bounces += len(failures)
        first = next(iter(failures.values()))
        fields = {
            "file": hmail.filename,
            "domain": hmail.todo.domain,
            "rcpts": _names(failures),
            "host": first.peer.host if first.peer else "",
            "response": first.reason,
            "delay": f"{time.time() - hmail.todo.queue_time / 1000:.3f}",
            "fails": hmail.num_failures,
        }
        hmail.lognotice("double bounce", fields)
        if self.settings.reports.double_bounce != "postmaster":
            return True
        postmaster = self._postmaster(hmail)
        # What can not be delivered to the postmaster ends here, or it would go round for ever.
        news = {rcpt: why for rcpt, why in wanted.items() if rcpt != postmaster}
        return not news or postmaster is None or self._sent(Kind.FAILED, hmail, news, postmaster)

    def _postmaster(self, hmail: HMail) -> Address | None:
        text = self.settings.reports.postmaster_address or f"postmaster@{self._me}"
        try:
            return Address.parse(text)
        except AddressError as error:
            hmail.logerror(f"no report to the postmaster: {error}")
            return None

    # -- sending

    def _sent(
        self,
        kind: Kind,
        hmail: HMail,
        outcomes: Mapping[Address, Outcome],
        to: Address,
        retry_until: float | None = None,
    ) -> bool:
        """True when all of it is in the queue, in as many reports as it takes."""
        what = "bouncing mail" if kind is Kind.FAILED else f"sending {kind.value}"
        hmail.lognotice(what, {"to": to.address, "rcpts": _names(outcomes)})
        for rcpts in _batched(outcomes, MAX_RECIPIENTS):
            part = {rcpt: outcomes[rcpt] for rcpt in rcpts}
            if not self._sent_one(kind, hmail, part, to, retry_until):
                return False
        return True

    def _sent_one(
        self,
        kind: Kind,
        hmail: HMail,
        outcomes: Mapping[Address, Outcome],
        to: Address,
        retry_until: float | None,
    ) -> bool:
        try:
            reply = self._send_report(kind, hmail, outcomes, to, retry_until)
        except Exception as error:
            # What was delivered must still be noted, so this must not end the settlement.
            hmail.logger.crit(
                f"cannot make a {kind.value}: {error}",
                {"traceback": traceback.format_exc()},
                origin="outbound",
                uuid=hmail.uuid,
            )
            return False
        if reply.kind == 2:
            self._counters.reports_sent += 1
            return True
        if reply.kind == 5:
            # A plugin keeps it in, or nobody can be told by such a sender: no later attempt changes that.
            hmail.logerror(f"no {kind.value} is sent: {reply}")
            return True
        lost = ", it is lost" if kind is Kind.DELIVERED else ", will try again"
        hmail.logerror(f"cannot queue a {kind.value}{lost}: {reply}")
        return False


def _batched(rcpts: Iterable[Address], size: int) -> Iterator[list[Address]]:
    """The recipients in lists of at most so many."""
    rest = iter(rcpts)
    while batch := list(islice(rest, size)):
        yield batch


def _names(rcpts: Mapping[Address, Outcome] | list[Address]) -> str:
    return ", ".join(map(str, rcpts))
