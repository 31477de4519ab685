"""The sessions of a server under test, each in a greenlet of its own, with a pair of sockets in memory."""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic  # the real one
from typing import TYPE_CHECKING

import gevent

from mta.inbound.session import Session
from mta.net.wire import Wire

if TYPE_CHECKING:
    from mta.connection import Connection
    from mta.inbound.service import Service

SECONDS = 10.0  # the real time that a server may take to do something


class Sessions:
    """Begins sessions, and knows how they are. explain: makes of what went wrong a text with the end of the log."""

    def __init__(self, explain: Callable[[str], str]) -> None:
        self.explain = explain
        self._running: list[tuple[Session, gevent.Greenlet[..., None]]] = []

    def begin(self, connection: Connection, service: Service) -> socket.socket:
        """Serve a client; its end of the connection."""
        ours, theirs = socket.socketpair()
        lenient = service.settings.bare_newline == "repair"
        wire = Wire(theirs, timeout=service.smtp.inactivity_timeout, lenient=lenient)
        session = Session(connection, wire, service)
        self._running.append((session, gevent.spawn(session.run)))
        return ours

    def has_closed(self, connection: Connection) -> bool:
        """True when the session of a client is over, or about to be."""
        return any(session.closing for session, _ in self._running if session.connection is connection)

    def wait_for(self, connection: Connection) -> None:
        """Wait until the session of a client that has hung up is over."""
        for session, greenlet in self._running:
            if session.connection is connection:
                greenlet.join(timeout=SECONDS)

    def wait_until(self, happened: Callable[[], object]) -> None:
        """Let the sessions go on until something has happened. Raises AssertionError after too long."""
        end = monotonic() + SECONDS
        while not happened():
            assert monotonic() < end, self.explain(f"still waiting after {SECONDS:g} s")
            gevent.sleep(0)

    def stop(self) -> None:
        """Hang up on all clients, and wait until the sessions are over."""
        for session, greenlet in self._running:
            if not greenlet.ready():
                session.stop()
        gevent.joinall([greenlet for _, greenlet in self._running], timeout=SECONDS)
