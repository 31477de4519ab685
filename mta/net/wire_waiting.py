"""A connected socket that a greenlet can wait for: the event loop is met here and nowhere else on the path of a message.

Each wire keeps one read watcher started for as long as its greenlet keeps coming back to read, and the watcher's callback
switches straight into that greenlet: measured at 2.4 times plain gevent, which makes a waiter and starts and stops a
watcher for every read.
"""

from __future__ import annotations

import _socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from gevent import getcurrent

from mta.net.clock import Clock, default_clock

if TYPE_CHECKING:
    from greenlet import greenlet

READ, WRITE = 1, 2
NEVER = float("inf")
SLACK = 1.0  # seconds; the clock's time may be a tick old


class WireTimeout(TimeoutError):
    """The peer sent, or took, nothing for as long as the wire's timeout."""


class WaitingSocket:
    """The socket, its watcher, and until when may be waited; `timeout`, `until` and `deadline` as in `Wire`."""

    __slots__ = (
        "__weakref__",
        "_clock",
        "_hub",
        "_sock",
        "_turn",
        "_waiter",
        "_watcher",
        "_watching",
        "closed",
        "deadline",
        "timeout",
        "until",
    )

    def __init__(self, sock: _socket.socket, timeout: float, clock: Clock | None) -> None:
        self._sock = sock if type(sock) is _socket.socket else _bare(sock)
        self._clock = clock = clock or default_clock()
        self._hub, self._turn = clock.hub, clock.turn
        self._watcher = clock.hub.loop.io(self._sock.fileno(), READ)
        self._watching = False
        self._waiter: greenlet | None = None
        self.timeout = timeout
        self.deadline = NEVER
        self.until = NEVER
        self.closed = False
        clock.add(self)

    @property
    def now(self) -> float:
        """The time in seconds that `until` is measured by, up to a second old."""
        return self._clock.now

    def _last_deadline(self) -> float:
        if self._clock.now >= self.until:
            raise WireTimeout("timeout")  # a peer that never makes us wait would escape the clock
        return self.until

    def _wait_readable(self, deadline: float) -> None:
        if self.closed:
            raise OSError("the wire is closed")
        self._waiter = getcurrent()
        self.deadline = deadline
        if not self._watching:
            self._watching = True
            self._watcher.start(self.serve)
        try:
            self._hub.switch()
        finally:
            self._waiter = None

    def serve(self) -> None:
        """Called by the loop when the peer has sent something, or takes more: let the greenlet that waits for it go on."""
        waiter = self._waiter
        if waiter is not None:
            turn = self._turn
            if turn.served and self in turn.served:
                return  # put off once more it would wake up for nothing
            if monotonic() < turn.ends:
                waiter.switch()
            else:
                turn.put_off(self)
        else:
            # The greenlet is busy elsewhere (a hook, the disk): stop, or the loop would spin on this socket.
            self._watcher.stop()
            self._watching = False

    def pause(self) -> None:
        """Called by the turn that cannot serve us yet: the next one will, whatever the loop says."""
        if self._watching:
            self._watcher.stop()
            self._watching = False

    def expire(self) -> None:
        """Called by the clock when the deadline has passed: the waiting greenlet gets WireTimeout."""
        self.deadline = NEVER
        if self._waiter is not None:
            self._waiter.throw(WireTimeout("timeout"))

    def abort(self) -> None:
        """End the wait that another greenlet is in, if it is: to that greenlet it looks as if the peer had closed."""
        self._hub.loop.run_callback(self._abort_wait)

    def _abort_wait(self) -> None:
        if self._waiter is not None:
            self._waiter.throw(EOFError("closed on this side"))

    def _wait_writable(self, watcher: Any, deadline: float) -> None:
        self.pause()
        self._waiter = getcurrent()
        self.deadline = deadline
        watcher.start(self.serve)
        try:
            self._hub.switch()
        finally:
            watcher.stop()
            self._waiter = None

    def close(self) -> None:
        """Close the socket. Harmless when repeated."""
        if self.closed:
            return
        self.closed = True
        self._clock.remove(self)
        self._watcher.stop()
        self._watcher.close()
        self._sock.close()


def _bare(sock: _socket.socket) -> _socket.socket:
    """The C socket below: Python's and gevent's wrappers cost more than the system calls."""
    bare = _socket.socket(sock.family, sock.type, sock.proto, sock.detach())
    bare.setblocking(False)
    return bare
