"""Accept connections and give each a session in a greenlet of its own."""

from __future__ import annotations

import _socket
import errno
import socket
from typing import TYPE_CHECKING

import gevent
from gevent import get_hub
from gevent.pool import Group

from mta.connection import Connection, Endpoint
from mta.inbound.session import Session
from mta.net.ip import is_local, is_private
from mta.net.wire import READ, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mta.inbound.service import Service

ACCEPTS_A_TURN = 64
OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE = 0.5  # seconds to wait for descriptors to come back


class Listener:
    """Serves the clients of some listening sockets until it is stopped. The sockets must not block."""

    def __init__(self, sockets: Sequence[_socket.socket], service: Service) -> None:
        self._service = service
        self._sockets = list(sockets)
        self._sessions: set[Session] = set()
        self._greenlets = Group()
        loop = get_hub().loop
        self._watchers = [(loop.io(sock.fileno(), READ), sock) for sock in self._sockets]

    def start(self) -> None:
        """Begin to accept."""
        for watcher, sock in self._watchers:
            watcher.start(self._accept, sock)

    @property
    def count(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    def stop(self) -> None:
        """Accept no more, close the listening sockets, tell idle clients; busy ones finish their command first."""
        for watcher, sock in self._watchers:
            watcher.stop()
            watcher.close()
            sock.close()
        self._watchers = []
        for session in list(self._sessions):
            session.stop()

    def join(self, timeout: float) -> None:
        """Wait for the sessions to end, at most so many seconds; cut those that have not."""
        self._greenlets.join(timeout=timeout)
        self._greenlets.kill()

    def _accept(self, sock: _socket.socket) -> None:
        """Runs in the event loop when clients wait."""
        for _ in range(ACCEPTS_A_TURN):
            try:
                fd, address = sock._accept()  # type: ignore[attr-defined]  # what socket.accept is made of
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._accept_failed(error)
                return
            client = _socket.socket(sock.family, socket.SOCK_STREAM, 0, fd)
            client.setblocking(False)
            self._greenlets.spawn(self._serve, client, address)

    def _accept_failed(self, error: OSError) -> None:
        self._service.logger.error(f"cannot accept connections: {error}; trying again in {PAUSE} s")
        if error.errno in OUT_OF_RESOURCES:
            # The socket stays readable: without a pause the loop would do nothing but fail.
            for watcher, sock in self._watchers:
                watcher.stop()
                gevent.spawn_later(PAUSE, watcher.start, self._accept, sock)

    def _serve(self, client: _socket.socket, address: object) -> None:
        service = self._service
        wire = Wire(
            client, timeout=service.smtp.inactivity_timeout, lenient=service.settings.bare_newline == "repair"
        )
        try:
            remote, local = _endpoint(address), _endpoint(client.getsockname())
        except OSError:
            wire.close()  # gone before it was served
            return
        session = Session(Connection(service.logger, remote, local), wire, service)
        self._sessions.add(session)
        try:
            session.run()
        finally:
            self._sessions.discard(session)
            wire.close()


def _endpoint(address: object) -> Endpoint:
    if not isinstance(address, tuple):
        endpoint = Endpoint("", 0)  # a unix socket: whoever may open it is on this machine
        endpoint.is_local = endpoint.is_private = True
        return endpoint
    ip = address[0].removeprefix("::ffff:") if "." in address[0] else address[0]
    endpoint = Endpoint(ip, address[1])
    endpoint.is_local = is_local(ip)
    endpoint.is_private = is_private(ip)
    return endpoint
