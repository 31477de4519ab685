"""Connections to next hops that are kept for the next message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent

from mta.config.schema import ConnectionPoolSettings
from mta.net.smtp_client import SmtpClient, Timeouts

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.net.next_hop import NextHop

Key = tuple[object, ...]
SWEEPS = 4  # looks at the idle connections in the time that one is kept


class ClientPool:
    """Hands out connections and takes them back. settings: the limits, which may be changed at any time."""

    def __init__(self, settings: ConnectionPoolSettings | None = None) -> None:
        self.settings = settings or ConnectionPoolSettings()
        self._idle: dict[Key, list[SmtpClient]] = {}  # lists that have become empty stay for a while
        # The same connections, the one unused for longest first, each with the time at which it is to be ended.
        self._ends: dict[SmtpClient, float] = {}
        self._sweeper: gevent.Greenlet[[], None] | None = None
        self._closed = False

    def acquire(
        self,
        hop: NextHop,
        *,
        helo: str,
        connect_timeout: float = 30.0,
        timeouts: Timeouts | None = None,
        logger: Logger | None = None,
        uuid: str = "-",
        cafile: str = "",
        fresh: bool = False,
    ) -> SmtpClient:
        """A connection to the hop, for the caller alone until release(); a kept one has `reused` set.

        When a reused one turns out to be dead, ask again with fresh=True. Arguments and errors are those of
        SmtpClient.connect.
        """
        key = (*hop.pool_key, helo, cafile)
        client = None if fresh else self._kept(key, logger, uuid)
        if client is None:
            client = SmtpClient.connect(
                hop,
                helo=helo,
                connect_timeout=connect_timeout,
                timeouts=timeouts,
                logger=logger,
                uuid=uuid,
                cafile=cafile,
            )
        client.pool_key = key
        return client

    def release(self, client: SmtpClient) -> None:
        """Take a connection back; it is kept or closed, without making the caller wait for the peer."""
        key = client.pool_key
        if key is None or not client.usable:
            client.close()
            return
        now = time.monotonic()
        kept = self._idle.setdefault(key, [])
        if not self._may_stay(client, len(kept), now):
            if not kept:
                del self._idle[key]
            gevent.spawn(client.quit)
            return
        kept.append(client)
        self._ends[client] = min(now + self.settings.idle, client.born + self.settings.lifetime)
        while len(self._ends) > self.settings.total_idle:
            self._dismiss(next(iter(self._ends)))
        if self._sweeper is None:
            self._sweeper = gevent.spawn(self._sweep)

    def close_all(self) -> None:
        """Say good-bye on every kept connection and wait for it; those in use are closed when they come back."""
        self._closed = True
        clients = list(self._ends)
        self._idle.clear()
        self._ends.clear()
        gevent.joinall([gevent.spawn(client.quit) for client in clients])

    @property
    def idle(self) -> int:
        """How many connections are kept right now."""
        return len(self._ends)

    def idle_hops(self) -> list[NextHop]:
        """Where the kept connections lead to, one for each."""
        return [client.hop for client in self._ends]

    def _may_stay(self, client: SmtpClient, others: int, now: float) -> bool:
        settings = self.settings
        return not (
            self._closed
            or client.uses >= settings.messages
            or client.uses >= client.mail_max
            or now >= client.born + settings.lifetime
            or others >= settings.per_site_idle
        )

    def _kept(self, key: Key, logger: Logger | None, uuid: str) -> SmtpClient | None:
        """The connection that was used last: it is the least likely to have been closed."""
        kept = self._idle.get(key)
        while kept:
            client = kept[-1]
            if self._ends[client] <= time.monotonic():
                self._dismiss(client)
                continue
            kept.pop()
            del self._ends[client]
            if client.lend(logger, uuid):
                return client
            client.close()
        return None

    def _sweep(self) -> None:
        """Close what was not used in time; ends when nothing is left to watch."""
        while self._ends:
            gevent.sleep(self.settings.idle / SWEEPS)
            now = time.monotonic()
            for client in [client for client, end in self._ends.items() if end <= now]:
                self._dismiss(client)
            self._idle = {key: kept for key, kept in self._idle.items() if kept}
        self._idle.clear()
        self._sweeper = None

    def _dismiss(self, client: SmtpClient) -> None:
        """End a connection that is kept."""
        del self._ends[client]
        self._idle[client.pool_key or ()].remove(client)
        gevent.spawn(client.quit)
