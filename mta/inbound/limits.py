"""What one client may cost: connections, time for a message, mistakes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from mta.net.ip import ip_in_list
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.config.schema import ConnectionSettings
    from mta.inbound.session import Session
    from mta.net.wire import Wire

TOO_MANY_CONNECTIONS = Reply(421, "Too many connections", "4.7.0", close=True)
TOO_MANY_COMMANDS = Reply(421, "Too many commands", "4.7.0", close=True)
TOO_MANY_ERRORS = Reply(421, "Too many errors", "4.7.0", close=True)
TOO_MANY_UNRECOGNIZED = Reply(421, "Too many unrecognized commands", "4.7.0", close=True)

RESERVED_DESCRIPTORS = 512  # for the queue, deliveries, the DNS and what plugins open


class Crowd:
    """The clients connected now: how many in all, and how many from each address.

    descriptors: how many files this process may have open; clients never get the last of them, or accepted mail could
    not be stored.
    """

    __slots__ = ("_from", "_room", "count")

    def __init__(self, descriptors: int) -> None:
        self.count = 0
        self._from: dict[str | bytes, int] = {}
        self._room = descriptors - min(RESERVED_DESCRIPTORS, descriptors // 4)

    def full(self, settings: ConnectionSettings) -> bool:
        """True when nobody more may come in, wherever they come from."""
        return self.count >= min(settings.max_connections or self._room, self._room)

    def seat(self, ip: str, settings: ConnectionSettings) -> Seat | None:
        """Count a client in, or None when there is no place for it. A load balancer is no client: who it is comes later."""
        if self.full(settings):
            return None
        origin = _origin(ip, settings)
        if not self.allows(origin, settings):
            return None
        self.count += 1
        self.add(origin)
        return Seat(self, origin)

    def allows(self, origin: str | bytes, settings: ConnectionSettings) -> bool:
        """True when one more may come from there."""
        limit = settings.max_connections_per_ip
        return not (limit and origin) or self._from.get(origin, 0) < limit

    def add(self, origin: str | bytes) -> None:
        """One more from there."""
        self._from[origin] = self._from.get(origin, 0) + 1

    def remove(self, origin: str | bytes) -> None:
        """One fewer from there."""
        left = self._from[origin] - 1
        if left:
            self._from[origin] = left
        else:
            del self._from[origin]


class Seat:
    """One client's place in the crowd."""

    __slots__ = ("_crowd", "_origin")

    def __init__(self, crowd: Crowd, origin: str | bytes) -> None:
        self._crowd = crowd
        self._origin = origin

    def move(self, ip: str, settings: ConnectionSettings) -> Reply | None:
        """The client turns out to come from `ip` (PROXY, XCLIENT): count it there, or refuse it."""
        if ip == self._origin:
            return None  # nearly everybody comes by themselves
        origin = _origin(ip, settings)
        if origin == self._origin:
            return None
        if not self._crowd.allows(origin, settings):
            return TOO_MANY_CONNECTIONS
        self._crowd.remove(self._origin)
        self._crowd.add(origin)
        self._origin = origin
        return None

    def leave(self) -> None:
        """The client is gone."""
        self._crowd.remove(self._origin)
        self._crowd.count -= 1


def _origin(ip: str, settings: ConnectionSettings) -> str | bytes:
    """What counts as one address: "" for whoever is not limited, the /64 network of an IPv6 address."""
    if not ip or (settings.haproxy_hosts and ip_in_list(ip, settings.haproxy_hosts)):
        return ""
    if ":" not in ip:
        return ip
    try:
        return socket.inet_pton(socket.AF_INET6, ip.split("%", 1)[0])[:8]
    except OSError:
        return ip


class Pace:
    """Holds a client to min_data_rate while its message comes in. The time of a whole session still holds."""

    __slots__ = ("_begin", "_ends", "_rate", "_wire")

    def __init__(self, wire: Wire, settings: ConnectionSettings) -> None:
        self._wire = wire
        self._rate = settings.min_data_rate
        self._begin = wire.now + wire.timeout
        self._ends = wire.until

    def received(self, size: int) -> None:
        """So many bytes of the message have arrived: that is how long the client may take for the rest."""
        if self._rate:
            self._wire.until = min(self._begin + size / self._rate, self._ends)

    def end(self) -> None:
        """The message is in."""
        self._wire.until = self._ends


def over_limit(session: Session) -> Reply | None:
    """The reply to a client that has made too many mistakes, else None."""
    settings = session.service.settings
    if 0 < settings.max_unrecognized < session.unrecognized:
        return TOO_MANY_UNRECOGNIZED
    if 0 < settings.max_errors < session.connection.errors:
        return TOO_MANY_ERRORS
    return None
