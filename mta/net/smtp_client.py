"""The client side of SMTP and LMTP (RFC 5321, RFC 2033): one connection to a next hop, for one message after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mta.net import connect
from mta.net.smtp_dialogue import ORIGIN, Dialogue, encode
from mta.net.smtp_errors import (
    BrokenConversation,
    ClientError,
    ConnectFailed,
    ConnectionLost,
    MalformedReply,
    MessageUnreadable,
    Rejected,
    Timeouts,
    TlsFailed,
)
from mta.net.smtp_opening import Opening
from mta.net.smtp_transaction import MessageSource, Transaction
from mta.smtp.address import Address
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.net.next_hop import NextHop
    from mta.net.wire import Wire

__all__ = [
    "BrokenConversation",
    "ClientError",
    "ConnectFailed",
    "ConnectionLost",
    "MalformedReply",
    "MessageSource",
    "MessageUnreadable",
    "Rejected",
    "SmtpClient",
    "Timeouts",
    "TlsFailed",
]

# RFC 6531 3.7.4.2
_NEEDS_REQUIRETLS = Reply(550, "REQUIRETLS support required", "5.7.30")  # RFC 8689 4.2.1
_NEEDS_SMTPUTF8 = Reply(550, "the next hop does not take internationalised mail (SMTPUTF8)", "5.6.7")


class SmtpClient:
    """An open, greeted and, where asked for, encrypted and authenticated connection.

    extensions: EHLO keyword in capitals to parameters; host, ip, port: the peer (host is the name if we know one);
    uses: transactions so far; reused: it came from a pool, so the peer may have closed it unseen; pool_key: the pool's.
    """

    __slots__ = (
        "_busy",
        "_dialogue",
        "_open",
        "_timeouts",
        "authenticated",
        "esmtp",
        "extensions",
        "hop",
        "host",
        "ip",
        "pool_key",
        "port",
        "reused",
        "secured",
        "uses",
    )

    def __init__(self, hop: NextHop, dialogue: Dialogue, opening: Opening, timeouts: Timeouts) -> None:
        """Take over a connection that has been opened; call connect() to get one."""
        self.hop = hop
        self.host = hop.path or hop.name
        self.ip, self.port = dialogue.peer
        self.extensions = opening.extensions
        self.esmtp = opening.esmtp
        self.secured = opening.secured
        self.authenticated = opening.authenticated
        self.uses = 0
        self.pool_key: tuple[object, ...] | None = None
        self.reused = False
        self._dialogue = dialogue
        self._timeouts = timeouts
        self._open = False
        self._busy = False

    @classmethod
    def connect(
        cls,
        hop: NextHop,
        *,
        helo: str,
        connect_timeout: float = 30.0,
        timeouts: Timeouts | None = None,
        logger: Logger | None = None,
        uuid: str = "-",
        cafile: str = "",
    ) -> SmtpClient:
        """Connect, greet, and do STARTTLS and AUTH as the hop says.

        helo: our name, unless the hop has one for us; connect_timeout: seconds; cafile: trusted authorities for
        tls=required instead of the system's. When an opportunistic handshake fails, one more connection is made in clear.
        Raises ConnectFailed, Rejected, TlsFailed, ConnectionLost, MalformedReply; ValueError for a name with a line end.
        """
        timeouts = timeouts or Timeouts()
        helo = hop.bind_helo or helo

        def attempt(use_tls: bool) -> SmtpClient:
            dialogue = Dialogue(_connected(hop, connect_timeout), logger, uuid)
            opening = Opening(dialogue, hop, helo, timeouts)
            try:
                opening.run(use_tls=use_tls, cafile=cafile)
                return cls(hop, dialogue, opening, timeouts)
            except BaseException:
                dialogue.wire.close()
                raise

        if hop.tls == "off":
            return attempt(False)
        try:
            return attempt(True)
        except TlsFailed as failure:
            if hop.tls == "required" or failure.phase != "tls":
                raise
            if logger is not None:
                logger.notice(f"{failure}, going on without TLS", origin=ORIGIN, uuid=uuid)
        return attempt(False)

    @property
    def usable(self) -> bool:
        """True when another message may be sent over this connection, as far as we know."""
        return not self._busy and not self._dialogue.wire.closed and self._dialogue.farewell is None

    def lend(self, logger: Logger | None, uuid: str) -> bool:
        """Begin another delivery over a kept connection; its log lines carry that uuid.

        False when the peer has said something since the last one: that can only be a good-bye.
        """
        self._dialogue.logger = logger
        self._dialogue.uuid = uuid
        self.reused = True
        return self.usable and not self._dialogue.wire.peek()

    def send(
        self,
        mail_from: Address,
        rcpts: Sequence[Address],
        message: MessageSource,
        *,
        eight_bit: bool = False,
        smtputf8: bool = False,
        require_tls: bool = False,
    ) -> dict[Address, Reply]:
        """Send one message, return the final reply for each recipient, in the order of rcpts.

        eight_bit: the message has octets above 127; smtputf8: its header needs SMTPUTF8 (RFC 6531); require_tls: the peer
        must promise to send it on by TLS only (RFC 8689). Replies are 2xx, 4xx or 5xx. Afterwards the connection is usable again, whatever the replies were, unless `usable` says no.
        Raises ConnectionLost and MalformedReply (their `replies` are final), MessageUnreadable; the connection is closed
        then. Raises ValueError, before anything is sent, if an address would not be one command line.
        """
        if not self.usable or self._dialogue.wire.pending:
            self.close()
            raise ConnectionLost("the connection is not usable any more, phase mail", "mail")
        if require_tls and not (self.secured and "REQUIRETLS" in self.extensions):
            return dict.fromkeys(rcpts, _NEEDS_REQUIRETLS)
        refused = self._refused_for_utf8(mail_from, rcpts, smtputf8)
        lines = {rcpt: f"RCPT TO:{rcpt}" for rcpt in rcpts if rcpt not in refused}
        if not lines:
            return refused
        mail = self._mail_command(mail_from, lines, message.size, eight_bit, smtputf8)
        if require_tls:
            mail += " REQUIRETLS"
        encode((mail, *lines.values()))  # all of them are sound, or none is said
        replies = self._transact(mail, lines, message, refused)
        return {rcpt: replies[rcpt] for rcpt in rcpts}

    def reset(self) -> None:
        """End whatever transaction the peer thinks is going on. Raises ConnectionLost, MalformedReply."""
        self._dialogue.ask("RSET", "rset", self._timeouts.mail)
        self._open = False

    def quit(self) -> None:
        """Say good-bye, wait a few seconds for the answer, close. Raises nothing that the peer could cause."""
        try:
            if self.usable:
                self._dialogue.ask("QUIT", "quit", self._timeouts.quit)
        except ClientError:
            pass  # we were leaving anyway
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection at once; harmless when repeated."""
        self._dialogue.wire.close()

    def _transact(
        self, mail: str, lines: dict[Address, str], message: MessageSource, refused: dict[Address, Reply]
    ) -> dict[Address, Reply]:
        transaction = Transaction(self._dialogue, self._timeouts, lmtp=self.hop.using_lmtp)
        self.uses += 1
        # Set until the end, so that a delivery that is killed half-way leaves nothing that could be used again.
        self._busy = True
        try:
            pipelining = "PIPELINING" in self.extensions
            transaction.run(mail, lines, message, pipelining=pipelining, reset=self._open)
        except BrokenConversation as broken:
            broken.replies = {**refused, **transaction.replies}
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        self._busy = False
        self._open = transaction.open
        if not transaction.in_step:
            self.close()
        return {**refused, **transaction.replies}

    def _refused_for_utf8(
        self, mail_from: Address, rcpts: Sequence[Address], smtputf8: bool
    ) -> dict[Address, Reply]:
        """The recipients whose mail cannot be said without SMTPUTF8, when the peer does not know it."""
        if "SMTPUTF8" in self.extensions:
            return {}
        everybody = smtputf8 or not mail_from.address.isascii()
        return {rcpt: _NEEDS_SMTPUTF8 for rcpt in rcpts if everybody or not rcpt.address.isascii()}

    def _mail_command(
        self, mail_from: Address, lines: dict[Address, str], size: int, eight_bit: bool, smtputf8: bool
    ) -> str:
        offered = self.extensions
        # Who could not do without it was refused before.
        utf8 = smtputf8 or not (mail_from.address.isascii() and all(map(str.isascii, lines.values())))
        return "".join(
            (
                f"MAIL FROM:{mail_from}",
                f" SIZE={size}" if "SIZE" in offered else "",
                " BODY=8BITMIME" if (eight_bit or utf8) and "8BITMIME" in offered else "",
                " SMTPUTF8" if utf8 else "",
            )
        )


def _connected(hop: NextHop, timeout: float) -> Wire:
    try:
        if hop.path:
            return connect.connect_unix(hop.path, timeout=timeout)
        return connect.connect(hop.host, hop.port, timeout=timeout, bind=hop.bind)
    except (OSError, ValueError) as error:  # ValueError: a host name that can be none
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConnectFailed(f"cannot connect to {hop}: {reason}") from error
