"""Hands messages on to another server while the client waits, over connections that are kept for the next message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import gevent

from mta.net.hop_list import taking_turns
from mta.net.host_health import HostHealth, is_our_own
from mta.net.smtp_client import BrokenConversation, ClientError, Rejected
from mta.plugin.handover import Handover, Lines
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.config.schema import ConnectionPoolSettings
    from mta.net.next_hop import NextHop
    from mta.net.smtp_client import Timeouts
    from mta.plugin.hooks import Plugin
    from mta.smtp.address import Address
    from mta.transaction import Transaction

UNREACHABLE = Reply(451, "the next server is not available, try again later", "4.4.1")


class Forwarder:
    """One server, or several that share the mail, and the connections to them that are kept for the next message.

    plugin: who forwards; its log tells what went wrong. hops: the servers, sorted by priority; helo: our name in EHLO;
    connect_timeout: seconds; timeouts: those of each step, without them those of RFC 5321 4.5.3.2; connections: how long
    they are kept and how many, without it as outbound.ini [connections] has it by default; health: which servers were
    not there lately, for several forwarders that shall know it of each other. Close it in shutdown().
    """

    def __init__(
        self,
        plugin: Plugin,
        hops: Sequence[NextHop],
        *,
        helo: str,
        connect_timeout: float = 30.0,
        timeouts: Timeouts | None = None,
        connections: ConnectionPoolSettings | None = None,
        health: HostHealth | None = None,
    ) -> None:
        self.hops = tuple(hops)
        self.health = health or HostHealth(plugin.logger, origin=plugin.name)
        self._plugin = plugin
        self._lines = Lines(plugin, helo, connect_timeout, timeouts, connections)

    def forward(
        self, transaction: Transaction, rcpts: Sequence[Address], *, one_by_one: bool = False
    ) -> dict[Address, Reply]:
        """Hand a message on; return one reply for each recipient: 2xx, 4xx or 5xx.

        one_by_one: once for each recipient. When a server is not there, refuses us or goes away, the next one is asked for
        those who have no reply yet, unless it went away after the final dot: it may have taken the message. Who has no
        reply in the end gets 451. Raises ValueError for an address that would not be one command line.
        """
        replies: dict[Address, Reply] = {}
        for hop in self.health.up_first(taking_turns(self.hops)):
            try:
                Handover(self._lines, hop, transaction, self.health, replies).run(rcpts, one_by_one)
                break
            except BrokenConversation as error:
                replies.update(error.replies)
                self._note_failure(hop, error, transaction)
                if error.phase == "dot":
                    break
            except ClientError as error:
                self._note_failure(hop, error, transaction)
        return {rcpt: replies.get(rcpt, UNREACHABLE) for rcpt in rcpts}

    def close(self) -> None:
        """Say good-bye on the kept connections and wait for it, some seconds at most; those in use follow when they can."""
        self._lines.close_all()

    @staticmethod
    def close_all(forwarders: Iterable[Forwarder]) -> None:
        """Close several in the time of one."""
        gevent.joinall([gevent.spawn(forwarder.close) for forwarder in forwarders])

    def _note_failure(self, hop: NextHop, error: ClientError, transaction: Transaction) -> None:
        self._plugin.logerror(f"forwarding to {hop} failed: {error}", transaction)
        refused = isinstance(error, Rejected) or is_our_own(error.__cause__)
        if error.phase in ("connect", "banner") and not refused:
            self.health.failed(hop, str(error))
