"""The way into the queue: 250 is answered when the mail is safe on disk, and not before."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Unpack

from mta.connection import Connection, Endpoint, new_uuid
from mta.events import Events
from mta.message.header import Header, put_first
from mta.message.trace import date_to_str, message_id
from mta.outbound import delivery_events
from mta.outbound.compose import Refused, compose
from mta.outbound.hot import HotMessage
from mta.outbound.split import split
from mta.outbound.spool import Spool, SpoolError
from mta.plugin.log_args import uuid_of
from mta.plugin.refusal import Refusal, reply_with
from mta.plugin.verdict import DENYDISCONNECT, DENYSOFT, DENYSOFTDISCONNECT, REJECTIONS, Verdict
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.config.schema import OutboundSettings
    from mta.logger import Logger
    from mta.outbound.qfile import QueueFileName
    from mta.outbound.todo import Todo
    from mta.plugin.runner import HookRunner
    from mta.plugin.server import Contents, MailOptions, Recipients
    from mta.smtp.address import Address
    from mta.transaction import Transaction

Wake = Callable[[Sequence["QueueFileName"], Sequence["Todo"], HotMessage | None], None]
Keeps = Callable[[int], bool]

NO_RECEIVED = "disabled"
DENIED = Refusal(550, "5.7.1", "Message denied")
DENIED_FOR_NOW = Refusal(450, "4.7.1", "Message denied temporarily")


class Submitter:
    """Puts mail into the spool. me: our name in trace fields; `settings` may be changed at any time.

    wake: told about every entry that was made, and given the message if it is in memory. keeps: tells whether a message of
    so many bytes would be delivered from there.
    """

    __slots__ = ("_events", "_keeps", "_logger", "_me", "_runner", "_spool", "_wake", "settings")

    def __init__(
        self,
        spool: Spool,
        runner: HookRunner,
        logger: Logger,
        settings: OutboundSettings,
        me: str,
        wake: Wake,
        keeps: Keeps,
        events: Events | None = None,
    ) -> None:
        self._events = events or Events()
        self._spool = spool
        self._runner = runner
        self._logger = logger
        self._me = me
        self._wake = wake
        self._keeps = keeps
        self.settings = settings

    def submit(self, transaction: Transaction, origin: str | None = None) -> Reply:
        """Queue a complete transaction: 250 when it is durable, 451 when the disk would not have it.

        Adds what the header lacks: Message-Id, Date, a Received field of our own (RFC 5321 4.4, RFC 6409 8). A mail with
        hold_until gets its first attempt then (RFC 4865). Hook pre_send_trans_email may refuse it: 550 or 450, unless the
        plugin says otherwise. origin: the uuid, or the name, of what a mail of our own is about.
        """
        if not transaction.rcpt_to:
            return Reply(550, "No recipients for email", "5.1.3")
        now = time.time()
        self._complete(transaction, now)
        if self._runner.chains["pre_send_trans_email"]:
            verdict = self._runner.run("pre_send_trans_email", self._connection(transaction))
            if verdict.code in REJECTIONS:
                return self._refuse(transaction, verdict)
        now_ms = int(now * 1000)
        todos = split(transaction, self.settings.always_split, now_ms)
        due_ms = max(now_ms, int(transaction.hold_until * 1000)) if transaction.hold_until else now_ms
        stream = transaction.message_stream
        # What is held needs no place in memory.
        hot = HotMessage.of(stream, self._keeps) if due_ms == now_ms else None
        try:
            names = self._spool.commit(todos, hot or stream, now_ms, due_ms, passing=hot is not None)
        except (SpoolError, OSError) as error:
            self._logger.error(
                f"cannot queue mail: {error}", origin="outbound", uuid=transaction.uuid, about=transaction
            )
            transaction.results.add("outbound", {"err": str(error)})
            return Reply(451, "Queueing failed, try again later", "4.3.0")
        transaction.results.add("outbound", {"pass": "queued"})
        if self._events.on:
            delivery_events.queued(self._events, transaction, names, todos, due_ms, origin)
        self._wake(names, todos, hot)
        return Reply(250, f"Message Queued ({transaction.uuid})", "2.0.0")

    def send(
        self,
        mail_from: Address | str,
        rcpts: Recipients,
        contents: Contents,
        **options: Unpack[MailOptions],
    ) -> Reply:
        """Queue a mail of our own, such as a bounce; see mta.plugin.server.Server.send_email. Answers as submit does."""
        uuid = new_uuid()
        try:
            transaction = compose(uuid, mail_from, rcpts, contents, options)
        except Refused as refused:
            self._logger.error(f"cannot send email: {refused}", _because(options), origin="outbound")
            return refused.reply
        because = _because(options)
        fields = {"from": str(transaction.mail_from), "to": ", ".join(map(str, transaction.rcpt_to))}
        self._logger.info("Sending email", fields | because, origin="outbound", uuid=uuid)
        return self.submit(transaction, because.get("origin"))

    def _complete(self, transaction: Transaction, now: float) -> None:
        header = transaction.header
        # Looked at only when there is one somewhere: that is cheaper than to find the field.
        # By find: `in` tries the bytes as a number first, and raises and drops an error for that.
        if header.to_bytes().find(b"<>") >= 0 and header.get("Message-Id") == "<>":
            header.remove("Message-Id")
        if not header.has("Message-Id"):
            self._add_message_id(transaction)
        if not header.has("Date"):
            header.add("Date", date_to_str(now))
        received = self.settings.received_header
        if received and received != NO_RECEIVED:
            put_first(header, _received_field(received, int(now), header.utf8))

    def _add_message_id(self, transaction: Transaction) -> None:
        self._logger.info(
            "Adding missing Message-Id header", origin="outbound", uuid=transaction.uuid, about=transaction
        )
        transaction.header.add("Message-Id", message_id(transaction.uuid, self._me))

    def _refuse(self, transaction: Transaction, verdict: Verdict) -> Reply:
        for_now = verdict.code in (DENYSOFT, DENYSOFTDISCONNECT)
        close = verdict.code in (DENYDISCONNECT, DENYSOFTDISCONNECT)
        reply = reply_with(verdict.message, DENIED_FOR_NOW if for_now else DENIED, close)
        transaction.results.add("outbound", {"fail": str(reply)})
        return reply

    def _connection(self, transaction: Transaction) -> Connection:
        """The connection that hook pre_send_trans_email is shown: nobody is at its other end."""
        connection = Connection(self._logger, Endpoint(), Endpoint())
        connection.uuid = transaction.uuid
        connection.transaction = transaction
        connection.relaying = True
        return connection


@lru_cache(maxsize=8)
def _received_field(comment: str, second: int, utf8: bool) -> bytes:
    """A Received field of our own (RFC 5321 4.4), the same for all messages of a second: to make it costs a relay of 1 KB 1 %."""
    header = Header(utf8=utf8)
    header.add("Received", f"({comment}); {date_to_str(second)}")
    return header.to_bytes()


def _because(options: MailOptions) -> dict[str, str]:
    """What the log says about the reason of a mail: the uuid of what it is about, or a name."""
    origin = options.get("origin")
    if origin is None:
        return {}
    uuid = uuid_of(origin)
    return {"origin": uuid if uuid != "-" else getattr(origin, "name", None) or str(origin)}
