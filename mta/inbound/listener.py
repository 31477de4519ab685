"""Accept connections and give each a session in a greenlet of its own."""

from __future__ import annotations

import _socket
import errno
import socket
import time
from typing import TYPE_CHECKING

import gevent
from gevent import get_hub

from mta import memory
from mta.connection import Connection, Endpoint
from mta.inbound.greenlets import Greenlets
from mta.inbound.limits import TOO_MANY_CONNECTIONS, Crowd
from mta.inbound.session import Session
from mta.net.accept import accept
from mta.net.clock import default_clock
from mta.net.wire import READ, SLACK, Wire
from mta.plugin.endpoints import endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mta.inbound.limits import Seat
    from mta.inbound.service import Service

ACCEPTS_A_TURN = 32
PAUSE = 0.5  # seconds to wait for descriptors to come back
QUIET = 1.0  # seconds in which at most one line tells of clients turned away: they must not fill the log

# accept(2): what a client did, or its network; the socket itself is well.
OF_ONE_CLIENT = frozenset(
    {errno.EAGAIN, errno.EINTR, errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.ENETUNREACH}
    | {errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.ETIMEDOUT}
)


class Listener:
    """Serves the clients of some listening sockets until it is stopped. The sockets must not block.

    shared: other processes accept there, too.
    """

    def __init__(self, sockets: Sequence[_socket.socket], service: Service, *, shared: bool = False) -> None:
        self._service = service
        self._shared = shared
        self._sockets = list(sockets)
        self._sessions: set[Session] = set()
        self._greenlets = Greenlets(self._serve)
        self._clock = default_clock()
        self._crowd = Crowd(memory.descriptors())
        self.accepted = 0  # since the start, as turned_away
        self.turned_away = 0
        self._untold = 0  # of those turned away
        self._told = 0.0
        self._failing = False
        loop = get_hub().loop
        self._watchers = [(loop.io(sock.fileno(), READ), sock) for sock in self._sockets]

    def start(self) -> None:
        """Begin to accept."""
        self._watch()

    def _watch(self) -> None:
        for watcher, sock in self._watchers:
            watcher.start(self._accept, sock)

    @property
    def count(self) -> int:
        """How many clients are connected."""
        return self._crowd.count

    def close(self) -> None:
        """Accept no more, and close the listening sockets; sessions go on."""
        for watcher, sock in self._watchers:
            watcher.stop()
            watcher.close()
            sock.close()
        self._watchers = []

    def stop(self) -> None:
        """Accept no more, tell idle clients; busy ones finish their command first."""
        self.close()
        for session in list(self._sessions):
            session.stop()

    def wait(self) -> None:
        """Wait until every session has come to its own end."""
        self._greenlets.join()

    def join(self, timeout: float) -> None:
        """Wait for the sessions to end, at most so many seconds; cut those that have not."""
        self._greenlets.join(timeout)
        self._greenlets.kill()

    def _accept(self, sock: _socket.socket) -> None:
        """Runs in the event loop when clients wait."""
        for _ in range(self._at_once()):
            try:
                fd, address = accept(sock)
            except OSError as error:
                if error.errno not in OF_ONE_CLIENT:
                    self._accept_failed(error)
                return
            client = _socket.socket(sock.family, socket.SOCK_STREAM, 0, fd)
            client.setblocking(False)
            self._let_in(client, address)
        self._failing = False

    def _at_once(self) -> int:
        """How many to accept in this turn. A worker alone takes all; with others it would take all ten that come together, too."""
        return min(ACCEPTS_A_TURN, 1 + self._crowd.count // 8) if self._shared else ACCEPTS_A_TURN

    def _let_in(self, client: _socket.socket, address: object) -> None:
        remote = _endpoint(address)
        seat = self._crowd.seat(remote.ip, self._service.settings)
        if seat is None:
            self._turn_away(client, remote)
        else:
            self.accepted += 1
            self._greenlets.spawn(client, remote, seat)

    def _turn_away(self, client: _socket.socket, remote: Endpoint) -> None:
        """One system call, no greenlet: whoever floods us must not cost more than that."""
        try:
            client.send(TOO_MANY_CONNECTIONS.to_bytes())
        except OSError:
            pass  # gone already
        client.close()
        self.turned_away += 1
        self._untold += 1
        now = time.monotonic()
        if now - self._told >= QUIET:
            fields = {"ip": remote.ip, "open": self._crowd.count, "turned_away": self._untold}
            self._service.logger.warn("too many connections", fields)
            self._told, self._untold = now, 0

    def _accept_failed(self, error: OSError) -> None:
        """Pause: the sockets stay readable, and without descriptors the loop would do nothing but fail."""
        if not self._failing:
            self._service.logger.error(f"cannot accept connections: {error}; trying again every {PAUSE} s")
        self._failing = True
        for watcher, _ in self._watchers:
            watcher.stop()
        gevent.spawn_later(PAUSE, self._watch)

    def _serve(self, client: _socket.socket, remote: Endpoint, seat: Seat) -> None:
        try:
            self._run(client, remote, seat)
        finally:
            seat.leave()

    def _run(self, client: _socket.socket, remote: Endpoint, seat: Seat) -> None:
        service = self._service
        wire = Wire(
            client,
            timeout=service.smtp.inactivity_timeout,
            clock=self._clock,
            lenient=service.settings.bare_newline == "repair",
        )
        wire.until = wire.now + service.settings.max_session_seconds + SLACK
        try:
            local = _endpoint(client.getsockname())
        except OSError:
            wire.close()  # gone before it was served
            return
        session = Session(Connection(service.logger, remote, local), wire, service)
        session.seat = seat
        session.tls_first = local.port in service.smtp.smtps_port
        self._sessions.add(session)
        try:
            session.run()
        finally:
            self._sessions.discard(session)
            wire.close()


def _endpoint(address: object) -> Endpoint:
    if not isinstance(address, tuple):
        end = Endpoint("", 0)  # a unix socket: whoever may open it is on this machine
        end.is_local = end.is_private = True
        return end
    ip = address[0].removeprefix("::ffff:") if "." in address[0] else address[0]
    return endpoint(ip, address[1])
