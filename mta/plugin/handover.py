"""One message on its way to one server, over a connection that may have carried others before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mta.message.snapshot import Snapshot
from mta.net.client_pool import ClientPool
from mta.net.smtp_client import BrokenConversation

if TYPE_CHECKING:
    from mta.config.schema import ConnectionPoolSettings
    from mta.net.host_health import HostHealth
    from mta.net.next_hop import NextHop
    from mta.net.smtp_client import SmtpClient, Timeouts
    from mta.plugin.hooks import Plugin
    from mta.smtp.address import Address
    from mta.smtp.reply import Reply
    from mta.transaction import Transaction

SHUTTING_DOWN = 421  # RFC 5321 3.8: whatever it was said to, nothing more will be taken over this connection


class Lines(ClientPool):
    """The connections of one forwarder: how they are made, and those that are kept. Arguments are those of Forwarder."""

    def __init__(
        self,
        plugin: Plugin,
        helo: str,
        connect_timeout: float,
        timeouts: Timeouts | None,
        connections: ConnectionPoolSettings | None,
    ) -> None:
        super().__init__(connections)
        self.plugin = plugin
        self._helo = helo
        self._connect_timeout = connect_timeout
        self._timeouts = timeouts

    def take(self, hop: NextHop, uuid: str, *, fresh: bool = False) -> SmtpClient:
        """A connection for the caller alone, a kept one unless `fresh`, until release(). Raises ClientError."""
        return self.acquire(
            hop,
            helo=self._helo,
            connect_timeout=self._connect_timeout,
            timeouts=self._timeouts,
            logger=self.plugin.logger,
            uuid=uuid,
            fresh=fresh,
        )

    def may_go_on(self, client: SmtpClient) -> bool:
        """True when one more message may go over a connection."""
        return client.usable and client.uses < min(self.settings.messages, client.mail_max)


class Handover:
    """Hands one message to one server; `replies` is filled with what it says about the recipients that are not in there."""

    __slots__ = (
        "_client",
        "_health",
        "_hop",
        "_lines",
        "_message",
        "_replies",
        "_requires_tls",
        "_transaction",
    )

    def __init__(
        self,
        lines: Lines,
        hop: NextHop,
        transaction: Transaction,
        health: HostHealth,
        replies: dict[Address, Reply],
    ) -> None:
        # RFC 8689: promised when the mail was accepted.
        self._requires_tls = "REQUIRETLS" in transaction.params
        self._hop = replace(hop, tls="required") if self._requires_tls else hop
        self._lines = lines
        self._transaction = transaction
        # Of a message in one piece only the header is searched once more: that makes a forward of 1 KB 4 % cheaper.
        self._message = Snapshot.of_small(transaction.message_stream) or transaction.message_stream
        self._health = health
        self._replies = replies
        self._client: SmtpClient | None = None

    def run(self, rcpts: Sequence[Address], one_by_one: bool) -> None:
        """Raises ClientError; what `replies` says then stays true."""
        left = [rcpt for rcpt in rcpts if rcpt not in self._replies] if self._replies else rcpts
        try:
            for envelope in [[rcpt] for rcpt in dict.fromkeys(left)] if one_by_one else [left]:
                self._send(envelope)
        finally:
            self._hang_up()

    def _send(self, envelope: Sequence[Address]) -> None:
        """Over a kept connection if there is one, and once more over a fresh one if that turns out to be dead."""
        client = self._client
        if client is None or not self._lines.may_go_on(client):
            client = self._connect()
        left = self._converse(client, envelope)
        if left:
            self._converse(self._connect(fresh=True), left)

    def _converse(self, client: SmtpClient, envelope: Sequence[Address]) -> Sequence[Address]:
        """Say it over a connection; return for whom that was of no use, as it was a kept one."""
        replies = self._replies
        answers: Mapping[Address, Reply]
        try:
            answers = self._say(client, envelope)
        except BrokenConversation as broken:
            # After the final dot it may have been taken, and a second copy would be ours.
            if not client.reused or broken.phase == "dot":
                raise
            answers, why = broken.replies, str(broken)
        else:
            if not client.reused or client.usable:
                replies.update(answers)
                return ()
            why = "it is shutting down"
        replies.update((rcpt, reply) for rcpt, reply in answers.items() if reply.code != SHUTTING_DOWN)
        left = [rcpt for rcpt in envelope if rcpt not in replies]
        if left:
            self._lines.plugin.logdebug(f"a kept connection to {self._hop} ended: {why}", self._transaction)
        return left

    def _say(self, client: SmtpClient, envelope: Sequence[Address]) -> dict[Address, Reply]:
        transaction = self._transaction
        return client.send(
            transaction.mail_from,
            envelope,
            self._message,
            # 8BITMIME is no claim that there are such octets, only leave to send them (RFC 6152 3).
            eight_bit=True,
            smtputf8="SMTPUTF8" in transaction.params,
            require_tls=self._requires_tls,
            mail_params=transaction.params,
            rcpt_params=transaction.rcpt_params,
        )

    def _connect(self, *, fresh: bool = False) -> SmtpClient:
        if self._client is not None:
            self._hang_up()
        self._client = client = self._lines.take(self._hop, self._transaction.uuid, fresh=fresh)
        if not client.reused:
            self._health.succeeded(self._hop)
        return client

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._lines.release(client)
