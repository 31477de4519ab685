"""Connections to next hops that are kept for the next message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent

from mta.net.smtp_client import SmtpClient, Timeouts

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.net.next_hop import NextHop

Key = tuple[object, ...]
SWEEPS = 4  # looks at the idle connections in the time that one is kept


class ClientPool:
    """Hands out connections and takes them back.

    max_idle_seconds: how long an unused one is kept; max_uses: transactions per connection; max_idle_per_key: unused
    ones kept to the same hop.
    """

    def __init__(
        self, max_idle_seconds: float = 10.0, max_uses: int = 100, max_idle_per_key: int = 10
    ) -> None:
        self._max_idle_seconds = max_idle_seconds
        self._max_uses = max_uses
        self._max_idle_per_key = max_idle_per_key
        self._idle: dict[Key, list[tuple[float, SmtpClient]]] = {}
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
        if self._closed or client.uses >= self._max_uses or self._is_full(key):
            gevent.spawn(client.quit)
            return
        self._idle.setdefault(key, []).append((time.monotonic() + self._max_idle_seconds, client))
        if self._sweeper is None:
            self._sweeper = gevent.spawn(self._sweep)

    def close_all(self) -> None:
        """Say good-bye on every kept connection and wait for it; those in use are closed when they come back."""
        self._closed = True
        clients = [client for kept in self._idle.values() for _, client in kept]
        self._idle.clear()
        gevent.joinall([gevent.spawn(client.quit) for client in clients])

    @property
    def idle(self) -> int:
        """How many connections are kept right now."""
        return sum(map(len, self._idle.values()))

    def _is_full(self, key: Key) -> bool:
        return len(self._idle.get(key, ())) >= self._max_idle_per_key

    def _kept(self, key: Key, logger: Logger | None, uuid: str) -> SmtpClient | None:
        """The connection that was used last: it is the least likely to have been closed."""
        kept = self._idle.get(key)
        while kept:
            _, client = kept.pop()
            if not kept:
                del self._idle[key]
            if client.lend(logger, uuid):
                return client
            client.close()
        return None

    def _sweep(self) -> None:
        """Close what was not used in time; ends when nothing is left to watch."""
        while self._idle:
            gevent.sleep(self._max_idle_seconds / SWEEPS)
            for key in list(self._idle):
                self._expire(key, time.monotonic())
        self._sweeper = None

    def _expire(self, key: Key, now: float) -> None:
        kept = self._idle.pop(key)
        young = [entry for entry in kept if entry[0] > now]
        if young:
            self._idle[key] = young
        for end, client in kept:
            if end <= now:
                gevent.spawn(client.quit)
