"""A desk where attempts are settled: a real spool on disk, made-up outcomes, reports that are kept to be looked at."""

from __future__ import annotations

import email
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mta.config.bounce_rules import BounceRules
from mta.config.schema import OutboundSettings
from mta.net.next_hop import NextHop
from mta.outbound.bouncer import Bouncer
from mta.outbound.hmail import HMail
from mta.outbound.hot import HotMessage
from mta.outbound.outcome import DEFERRED, DELIVERED, FAILED, Outcome, Peer
from mta.outbound.qfile import QueueFileName
from mta.outbound.settle import Later, Settler
from mta.plugin.hooks import Plugin
from mta.smtp.address import Address
from mta.smtp.reply import Reply
from tests.support.outbound import opened, queue_files, todo_for, words
from tests.support.plugins import runner_of

PEER = Peer("mx.b.test", "203.0.113.9", 25, "SMTP", True, False, NextHop("203.0.113.9", from_dns="mx.b.test"))
TAKEN = Outcome(DELIVERED, Reply(250, "taken", "2.0.0"), PEER)
LATER = Outcome(DEFERRED, Reply(450, "greylisted", "4.2.0"), PEER)
NEVER = Outcome(FAILED, Reply(550, "no such user", "5.1.1"), PEER)
MESSAGE = b"Subject: hello\r\nMessage-Id: <1@a.test>\r\n\r\nbody\r\n"
SETTINGS = OutboundSettings(retry_jitter=0)
TEMPLATE = ["Subject: failure notice", "", "{recipients}: {reason}"]


class Spy(Plugin):
    """Notes what the outbound hooks are told, answers as it is told."""

    name = "spy"

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.told: list[tuple[str, object]] = []

    def _answer(self, hook: str, subject: object) -> object:
        self.told.append((hook, subject))
        return self.answers.get(hook)

    def hook_delivered(self, hmail, receipt):
        return self._answer("delivered", receipt)

    def hook_bounce(self, hmail, failure):
        return self._answer("bounce", failure)

    def hook_deferred(self, hmail, deferral):
        return self._answer("deferred", deferral)


class Desk:
    """A spool with one settler; bounces go to `bounces` unless `refuse` is set."""

    def __init__(
        self,
        directory: Path,
        spy: Spy,
        waits: tuple[int, ...] = (60, 300),
        settings: OutboundSettings = SETTINGS,
        rules: Sequence[str] = (),
    ) -> None:
        runner, self.lines = runner_of(spy)
        self.logger = runner._logger
        self.directory = directory
        self.spool, self.disk = opened(directory, self.logger)
        self.bounces: list[tuple[Address, list[Address], bytes]] = []
        self.refuse = False
        self.explode = False
        bouncer = Bouncer("relay.test", words(*TEMPLATE), lambda *mail: self.send(*mail), settings)
        self.waits = waits
        self.settler = Settler(
            self.spool,
            runner,
            self.logger,
            bouncer.send_report,
            lambda domain: self.waits,
            me="relay.test",
            settings=settings,
            rules=BounceRules(rules),
        )

    def send(self, mail_from, rcpts, contents, _hmail):
        if self.explode:
            raise RuntimeError("bug in the bounce")
        if self.refuse:
            return Reply(451, "disk full", "4.3.0")
        self.bounces.append((mail_from, list(rcpts), contents))
        return Reply(250, "kept")

    def mail(
        self,
        *rcpts: str,
        mail_from: str = "sender@a.test",
        attempts: int = 0,
        age: float = 0,
        params: Mapping[str, str | None] | None = None,
        rcpt_params: Mapping[str, str | None] | None = None,
        **extra: object,
    ) -> HMail:
        """An entry that is being tried. age: seconds since it came; params: of MAIL, rcpt_params: of each RCPT."""
        now_ms = int(time.time() * 1000)
        todo = todo_for(rcpts, mail_from=mail_from)
        todo.queue_time = int(now_ms - age * 1000)
        if params:
            extra["mail_params"] = dict(params)
        if rcpt_params:
            extra["rcpt_params"] = {rcpt: dict(rcpt_params) for rcpt in rcpts}
        todo.extra.update(extra)
        (name,) = self.spool.commit([todo], HotMessage([MESSAGE]), now_ms)
        if attempts:
            name = self.spool.reschedule(name, attempts, now_ms)
        return self.load(name)

    def load(self, name: QueueFileName) -> HMail:
        """The entry as it is on disk, for another attempt."""
        todo, message = self.spool.load(name)
        return HMail(name, todo, message, self.logger)

    def settle(self, hmail: HMail, outcomes: Mapping[str, Outcome]) -> Later | None:
        return self.settler.settle(hmail, {Address.parse(rcpt): why for rcpt, why in outcomes.items()})

    def reports(self) -> list[tuple[str, list[tuple[str, str, str]]]]:
        """For each report that was sent: to whom, and recipient, Action and Status of its blocks."""
        return [(to[0].address, blocks_of(contents)) for _, to, contents in self.bounces]

    def on_disk(self) -> list[list[str]]:
        """The recipients of each entry in the directory."""
        loaded = [self.spool.load(name)[0] for name in self.names()]
        return [[rcpt.address for rcpt in todo.rcpt_to] for todo in loaded]

    def names(self) -> list[QueueFileName]:
        return [QueueFileName.parse(text) for text in queue_files(self.directory)]

    def logged(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]


def blocks_of(contents: bytes) -> list[tuple[str, str, str]]:
    """Final-Recipient, Action and Status of each recipient in a report."""
    _, *blocks = email.message_from_bytes(contents).get_payload(1).get_payload()
    return [(block["Final-Recipient"].split("; ")[1], block["Action"], block["Status"]) for block in blocks]
