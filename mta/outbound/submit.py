"""The way into the queue: 250 is answered when the mail is safe on disk, and not before."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mta.connection import Connection, Endpoint, new_uuid
from mta.message.stream import MessageStream
from mta.message.trace import date_to_str, message_id
from mta.outbound.hot import HotMessage
from mta.outbound.split import split
from mta.outbound.spool import Spool, SpoolError
from mta.smtp.reply import Reply
from mta.transaction import Transaction

if TYPE_CHECKING:
    from mta.config.schema import OutboundSettings
    from mta.logger import Logger
    from mta.outbound.qfile import QueueFileName
    from mta.outbound.todo import Todo
    from mta.plugin.runner import HookRunner
    from mta.smtp.address import Address

Wake = Callable[[Sequence["QueueFileName"], Sequence["Todo"], HotMessage | None], None]

NO_RECEIVED = "disabled"
_LINE_END = re.compile(rb"\r\n|\r|\n")


class Submitter:
    """Puts mail into the spool. me: our name in trace fields; `settings` may be changed at any time.

    wake: told about every entry that was made, and given the message if it is in memory.
    """

    __slots__ = ("_logger", "_me", "_runner", "_spool", "_wake", "settings")

    def __init__(
        self,
        spool: Spool,
        runner: HookRunner,
        logger: Logger,
        settings: OutboundSettings,
        me: str,
        wake: Wake,
    ) -> None:
        self._spool = spool
        self._runner = runner
        self._logger = logger
        self._me = me
        self._wake = wake
        self.settings = settings

    def submit(self, transaction: Transaction) -> Reply:
        """Queue a complete transaction: 250 when it is durable, 451 when the disk would not have it.

        Adds what the header lacks: Message-Id, Date, a Received field of our own (RFC 5321 4.4, RFC 6409 8). A mail with
        hold_until gets its first attempt then (RFC 4865).
        """
        if not transaction.rcpt_to:
            return Reply(550, "No recipients for email", "5.1.3")
        now = time.time()
        self._complete(transaction, now)
        if self._runner.has("pre_send_trans_email"):
            self._runner.run("pre_send_trans_email", self._connection(transaction))
        now_ms = int(now * 1000)
        todos = split(transaction, self.settings.always_split, now_ms)
        due_ms = max(now_ms, int((transaction.hold_until or 0) * 1000))
        # What is held needs no place in memory.
        hot = HotMessage.of(transaction.message_stream) if due_ms == now_ms else None
        try:
            names = self._spool.commit(todos, hot or transaction.message_stream, now_ms, due_ms)
        except (SpoolError, OSError) as error:
            self._logger.error(f"cannot queue mail: {error}", origin="outbound", uuid=transaction.uuid)
            transaction.results.add("outbound", {"err": str(error)})
            return Reply(451, "Queueing failed, try again later", "4.3.0")
        transaction.results.add("outbound", {"pass": "queued"})
        self._wake(names, todos, hot)
        return Reply(250, f"Message Queued ({transaction.uuid})", "2.0.0")

    def send(self, mail_from: Address, rcpts: Sequence[Address], contents: bytes) -> Reply:
        """Queue a mail of our own, such as a bounce: contents is header and body, in lines, dots not stuffed.

        Answers as submit does.
        """
        uuid = new_uuid()
        lines = _LINE_END.sub(b"\r\n", contents)
        if lines and not lines.endswith(b"\r\n"):
            lines += b"\r\n"
        transaction = Transaction(uuid, mail_from, MessageStream.from_message(lines))
        transaction.rcpt_to.extend(dict.fromkeys(rcpts))
        fields = {"from": str(mail_from), "to": ", ".join(map(str, rcpts))}
        self._logger.info("Sending email", fields, origin="outbound", uuid=uuid)
        return self.submit(transaction)

    def _complete(self, transaction: Transaction, now: float) -> None:
        header = transaction.header
        # Looked at only when there is one somewhere: that is cheaper than to find the field.
        if b"<>" in header.to_bytes() and header.get("Message-Id") == "<>":
            header.remove("Message-Id")
        if not header.has("Message-Id"):
            self._add_message_id(transaction)
        if not header.has("Date"):
            header.add("Date", date_to_str(now))
        received = self.settings.received_header
        if received and received != NO_RECEIVED:
            header.add_leading("Received", f"({received}); {date_to_str(now)}")

    def _add_message_id(self, transaction: Transaction) -> None:
        self._logger.info("Adding missing Message-Id header", origin="outbound", uuid=transaction.uuid)
        transaction.header.add("Message-Id", message_id(transaction.uuid, self._me))

    def _connection(self, transaction: Transaction) -> Connection:
        """The connection that hook pre_send_trans_email is shown: nobody is at its other end."""
        connection = Connection(self._logger, Endpoint(), Endpoint())
        connection.uuid = transaction.uuid
        connection.transaction = transaction
        connection.relaying = True
        return connection
