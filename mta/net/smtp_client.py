"""The client side of SMTP and LMTP (RFC 5321, RFC 2033): one connection to a next hop, for one message after another."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mta.net import connect
from mta.net.smtp_chunking import ChunkedTransaction
from mta.net.smtp_content import MessageSource, has_ascii_header, real_size
from mta.net.smtp_dialogue import ORIGIN, Dialogue, encode
from mta.net.smtp_envelope import NO_PARAMS, NO_RCPT_PARAMS, Params, envelope, size_limit
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
from mta.net.smtp_limits import first, limits, too_many
from mta.net.smtp_opening import Opening
from mta.net.smtp_starttls import may_go_on_in_clear, refuse
from mta.net.smtp_transaction import Transaction
from mta.net.tls_security import TlsFault, TlsOutcome
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

_NEEDS_REQUIRETLS = Reply(550, "REQUIRETLS support required", "5.7.30")  # RFC 8689 4.2.1


class SmtpClient:
    """An open, greeted and, where asked for, encrypted and authenticated connection.

    extensions: EHLO keyword in capitals to parameters; host, ip, port: the peer (host is the name if we know one);
    tls: what came of encryption when it was opened; uses: transactions so far; mail_max: how many the peer takes; born:
    monotonic time at which it was opened; reused: it came from a pool, so the peer may have closed it unseen; pool_key: the
    pool's; known_as: whatever its user wants to keep with it.
    """

    __slots__ = (
        "_busy",
        "_dialogue",
        "_open",
        "_rcpt_max",
        "_size_limit",
        "_timeouts",
        "authenticated",
        "born",
        "esmtp",
        "extensions",
        "hop",
        "host",
        "ip",
        "known_as",
        "mail_max",
        "pool_key",
        "port",
        "reused",
        "secured",
        "tls",
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
        self.tls = opening.tls
        self.authenticated = opening.authenticated
        self.uses = 0
        self.born = time.monotonic()
        self.known_as: object = None
        self.pool_key: tuple[object, ...] | None = None
        self.reused = False
        self._dialogue = dialogue
        self._timeouts = timeouts
        self._size_limit = size_limit(opening.extensions)
        self.mail_max, self._rcpt_max = limits(opening.extensions)
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

        refuse(hop)
        if hop.tls == "off":
            return attempt(False)
        try:
            return attempt(True)
        except TlsFailed as failure:
            if not may_go_on_in_clear(hop, failure):
                raise
            if logger is not None:
                logger.notice(f"{failure}, going on without TLS", origin=ORIGIN, uuid=uuid)
            fault = TlsFault(failure.kind, str(failure))
        client = attempt(False)
        client.tls = TlsOutcome(fault=fault)
        return client

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
        return self._dialogue.wire.quiet

    def send(
        self,
        mail_from: Address,
        rcpts: Sequence[Address],
        message: MessageSource,
        *,
        eight_bit: bool = False,
        smtputf8: bool = False,
        require_tls: bool = False,
        chunking: bool = False,
        mail_params: Params = NO_PARAMS,
        rcpt_params: Mapping[Address, Params] = NO_RCPT_PARAMS,
    ) -> dict[Address, Reply]:
        """Send one message, return the final reply for each recipient, in the order of rcpts.

        eight_bit: the message may have octets above 127; smtputf8: its header may need SMTPUTF8 (RFC 6531); require_tls:
        the peer must promise to send it on by TLS only (RFC 8689); chunking: BDAT may be used (RFC 3030). mail_params and
        rcpt_params: parameters of whoever gave us the mail, of which the peer gets what it offers.
        Replies are 2xx, 4xx or 5xx. Afterwards the connection is usable again, whatever they were, unless `usable` says no.
        Raises ConnectionLost and MalformedReply (their `replies` are final), MessageUnreadable; the connection is closed
        then. Raises ValueError, before anything is sent, if an address would not be one command line.
        """
        if not self.usable or self._dialogue.wire.pending:
            self.close()
            raise ConnectionLost("the connection is not usable any more, phase mail", "mail")
        if require_tls and not (self.secured and "REQUIRETLS" in self.extensions):
            return dict.fromkeys(rcpts, _NEEDS_REQUIRETLS)
        size = message.size
        if 0 < self._size_limit < size:
            size = real_size(message)
            if self._size_limit < size:
                return dict.fromkeys(rcpts, self._too_big(size))
        if smtputf8 and "SMTPUTF8" not in self.extensions:
            smtputf8 = not has_ascii_header(message)  # who asked for it may not have needed it
        said = envelope(
            mail_from,
            rcpts,
            self.extensions,
            size,
            eight_bit=eight_bit,
            smtputf8=smtputf8,
            require_tls=require_tls,
            mail_params=mail_params,
            rcpt_params=rcpt_params,
        )
        lines, refused = said.rcpts, said.refused
        if not lines:
            return refused
        encode((said.mail, *lines.values()))  # all of them are sound, or none is said
        replies = self._send_to_all(said.mail, lines, message, chunking, refused)
        if len(rcpts) == 1:
            return replies
        return {rcpt: replies[rcpt] if rcpt in replies else refused[rcpt] for rcpt in rcpts}

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

    def _too_big(self, size: int) -> Reply:
        """What the peer would say to MAIL (RFC 1870 6.1)."""
        text = f"a message of {size} bytes, where {self.host} takes {self._size_limit} at most"
        return Reply(552, text, "5.3.4")

    def _send_to_all(
        self,
        mail: str,
        lines: dict[Address, str],
        message: MessageSource,
        chunking: bool,
        refused: Mapping[Address, Reply],
    ) -> dict[Address, Reply]:
        """In one transaction, or in more when there are too many recipients for one (RFC 5321 4.5.3.1.10, RFC 9422)."""
        kind = ChunkedTransaction if chunking and "CHUNKING" in self.extensions else Transaction
        replies: dict[Address, Reply] = {}
        while True:
            group = lines if len(lines) <= self._rcpt_max else first(lines, self._rcpt_max)
            transaction = kind(self._dialogue, self._timeouts, lmtp=self.hop.using_lmtp)
            self._transact(transaction, mail, group, message, {**refused, **replies})
            if len(lines) == 1:
                return {**replies, **transaction.replies}
            replies.update(transaction.replies)
            again = set(too_many(transaction.replies))
            lines = {rcpt: line for rcpt, line in lines.items() if rcpt not in group or rcpt in again}
            if not lines:
                return replies
            decided = transaction.verdict or self._dialogue.farewell
            if decided is not None:
                return {**dict.fromkeys(lines, decided), **replies}
            if not self.usable:
                raise self._ended_early({**refused, **replies}, lines)

    def _ended_early(self, replies: Mapping[Address, Reply], left: Mapping[Address, str]) -> ConnectionLost:
        lost = ConnectionLost(
            "the conversation went wrong before all recipients were named, phase mail", "mail"
        )
        lost.replies = {rcpt: reply for rcpt, reply in replies.items() if rcpt not in left}
        return lost

    def _transact(
        self,
        transaction: Transaction,
        mail: str,
        lines: dict[Address, str],
        message: MessageSource,
        known: Mapping[Address, Reply],
    ) -> None:
        self.uses += 1
        # Set until the end, so that a delivery that is killed half-way leaves nothing that could be used again.
        self._busy = True
        try:
            pipelining = "PIPELINING" in self.extensions
            transaction.run(mail, lines, message, pipelining=pipelining, reset=self._open)
        except BrokenConversation as broken:
            # Who is asked again has a reply already, but not a final one.
            before = {rcpt: reply for rcpt, reply in known.items() if rcpt not in lines}
            broken.replies = {**before, **transaction.replies}
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        self._busy = False
        self._open = transaction.open
        if not transaction.in_step:
            self.close()


def _connected(hop: NextHop, timeout: float) -> Wire:
    try:
        if hop.path:
            return connect.connect_unix(hop.path, timeout=timeout)
        return connect.connect(hop.host, hop.port, timeout=timeout, bind=hop.bind)
    except (OSError, ValueError) as error:  # ValueError: a host name that can be none
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConnectFailed(f"cannot connect to {hop}: {reason}") from error
