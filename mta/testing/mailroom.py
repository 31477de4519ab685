"""Where the mail of a server under test ends: nothing leaves, all of it can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Unpack, cast

from mta.config.schema import OutboundSettings
from mta.connection import new_uuid
from mta.message.header import Header
from mta.message.stream import MessageStream
from mta.outbound.compose import Refused, compose
from mta.outbound.hmail import HMail
from mta.outbound.hot import HotMessage
from mta.outbound.qfile import QueueFileName, QueueNamer
from mta.outbound.submit import Submitter
from mta.plugin.hooks import Params, Plugin
from mta.plugin.verdict import OK, Answer
from mta.record import record
from mta.smtp.address import Address
from mta.smtp.reply import Reply
from mta.transaction import Transaction

if TYPE_CHECKING:
    from mta.config import Config
    from mta.connection import Connection
    from mta.logger import Logger
    from mta.outbound.spool import MessageSource, Spool
    from mta.outbound.todo import Todo
    from mta.plugin.runner import HookRunner
    from mta.plugin.server import Contents, MailOptions, Recipients

ANYWHERE = "*"
LAST = 100  # the lowest priority: every plugin under test is asked before


@record
class QueuedMail:
    """A mail that was answered with 250, as it was kept: with trace fields, dots not stuffed.

    outgoing: it was to be relayed, or a plugin has sent it; else a queue took it for one of our own domains.
    """

    transaction: Transaction
    mail_from: Address
    rcpt_to: tuple[Address, ...]
    message: bytes
    outgoing: bool

    @property
    def header(self) -> Header:
        """The header of the message."""
        return MessageStream.from_message(self.message).header

    @property
    def body(self) -> bytes:
        """What follows the header's empty line, CRLF line ends."""
        return self.message.partition(b"\r\n\r\n")[2]

    @property
    def recipients(self) -> list[str]:
        """The recipients as text, such as bob@example.com."""
        return [rcpt.address for rcpt in self.rcpt_to]


class Mailroom(Plugin):
    """The last plugin of every server under test: takes recipients in `domains`, and keeps what nobody else has kept.

    keep_first: at hooks queue and queue_outbound it is the first, and nobody else is asked.
    """

    name = "mailroom"

    def __init__(self, domains: Collection[str], *, keep_first: bool = False) -> None:
        self.domains = frozenset(domain.lower() for domain in domains)
        self.queued: list[QueuedMail] = []
        self.hmails: list[HMail] = []
        self.last: dict[str, Transaction] = {}  # by the uuid of the connection
        self._submitter: Submitter | None = None
        self._make_submitter: Callable[[], Submitter]
        self.register_hook("rcpt", "take_recipient", LAST)
        self.register_hook("queue", "keep", -LAST if keep_first else LAST)
        if keep_first:
            self.register_hook("queue_outbound", "keep_outgoing", -LAST)
        self.register_hook("reset_transaction", "remember", -LAST)

    def take_recipient(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        """Our domains are served unless a plugin said no."""
        return OK if rcpt.host in self.domains or ANYWHERE in self.domains else None

    def keep(self, connection: Connection) -> Answer:
        """What would go to a mailbox."""
        assert connection.transaction is not None  # there is one at hook queue
        self._note(connection.transaction, outgoing=False)
        return OK

    def keep_outgoing(self, connection: Connection) -> Answer:
        """What would be relayed."""
        assert connection.transaction is not None  # there is one at hook queue_outbound
        self._note(connection.transaction, outgoing=True)
        return OK

    def remember(self, connection: Connection) -> Answer:
        """What a client's last mail was, for tests that look at it afterwards."""
        if connection.transaction is not None:
            self.last[connection.uuid] = connection.transaction
        return None

    # -- outgoing mail ------------------------------------------------------------------------------------------------

    def open(self, config: Config, hooks: HookRunner, logger: Logger, me: str) -> None:
        """Be ready to take outgoing mail."""
        self._make_submitter = lambda: self._submitter_of(config, hooks, logger, me)

    def _submitter_of(self, config: Config, hooks: HookRunner, logger: Logger, me: str) -> Submitter:
        spool = _Memory(me)

        def wake(names: Sequence[QueueFileName], todos: Sequence[Todo], _hot: HotMessage | None) -> None:
            for name, todo in zip(names, todos, strict=True):
                self.hmails.append(HMail(name, todo, spool.message, logger))

        settings = config.settings(OutboundSettings)
        return Submitter(cast("Spool", spool), hooks, logger, settings, me, wake, keeps=lambda size: True)

    def submit(self, transaction: Transaction) -> Reply:
        """Take what would be relayed."""
        if self._submitter is None:  # most tests send nothing on
            self._submitter = self._make_submitter()
        reply = self._submitter.submit(transaction)
        if reply.code == 250:
            self._note(transaction, outgoing=True)
        return reply

    def send(
        self, mail_from: Address | str, rcpts: Recipients, contents: Contents, **options: Unpack[MailOptions]
    ) -> Reply:
        """Take what a plugin sends."""
        try:
            return self.submit(compose(new_uuid(), mail_from, rcpts, contents, options))
        except Refused as refused:
            return refused.reply

    def _note(self, transaction: Transaction, *, outgoing: bool) -> None:
        message = transaction.message_stream.get_data()
        rcpts = tuple(transaction.rcpt_to)
        self.queued.append(QueuedMail(transaction, transaction.mail_from, rcpts, message, outgoing))


class _Memory:
    """As much of a spool as a submitter uses; nothing touches the disk."""

    def __init__(self, me: str) -> None:
        self._namer = QueueNamer(me)
        self.message: MessageSource = HotMessage(())

    def commit(
        self,
        todos: Sequence[Todo],
        message: MessageSource,
        now_ms: int,
        due_ms: int | None = None,
        *,
        passing: bool = False,
    ) -> list[QueueFileName]:
        self.message = HotMessage(tuple(message.chunks()))
        return [self._namer.new(now_ms, now_ms if due_ms is None else due_ms) for _ in todos]
