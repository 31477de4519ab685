"""The greenlets that serve clients."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gevent import GreenletExit, get_hub
from gevent.event import Event
from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from mta.connection import Endpoint
    from mta.inbound.limits import Seat

    Serve = Callable[[_socket.socket, Endpoint, Seat], None]


class Greenlets:
    """Calls one function for each client, in a greenlet of its own. What it raises is told on stderr, as gevent does.

    They are bare greenlets. One of gevent's takes 1 KB more as long as it waits: what is needed to ask it how it ended, which
    nobody does here, and C frames of its own. What waits keeps a copy of its C stack: so the call below has no `*args`, which
    would make a frame of the interpreter, 600 bytes.
    """

    __slots__ = ("_hub", "_members", "_over", "_run", "_serve")

    def __init__(self, serve: Serve) -> None:
        self._hub = get_hub()
        self._serve = serve
        self._run = self._call  # one bound method for all
        self._members: set[greenlet] = set()
        self._over: Event | None = None

    def spawn(self, client: _socket.socket, remote: Endpoint, seat: Seat) -> None:
        """Serve this client, soon."""
        member = greenlet(self._run, self._hub)
        self._members.add(member)
        self._hub.loop.run_callback(member.switch, client, remote, seat)

    def _call(self, client: _socket.socket, remote: Endpoint, seat: Seat) -> None:
        try:
            self._serve(client, remote, seat)
        except BaseException:
            self._hub.handle_error(self._serve, *sys.exc_info())  # says nothing about GreenletExit
        self._members.discard(getcurrent())
        if self._over is not None and not self._members:
            self._over.set()
            self._over = None

    def join(self, timeout: float | None = None) -> None:
        """Wait until none is left, at most so many seconds."""
        if self._members:
            self._over = self._over or Event()
            self._over.wait(timeout)

    def kill(self) -> None:
        """End those that are left, and wait until they have cleaned up."""
        for member in self._members:
            self._hub.loop.run_callback(_end, member)
        self.join()


def _end(member: greenlet) -> None:
    if member:
        member.throw(GreenletExit)
