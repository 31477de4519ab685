"""The writing half of a wire: what is written waits in memory until the wire would block.

So replies to pipelined commands leave in one send (RFC 2920 3.2), and a final dot with the end of its message.
"""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING

from gevent import sleep

from mta.net.wire_waiting import SLACK, WRITE, WaitingSocket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mta.net.clock import Clock
    from mta.net.tls_layer import Layer

WRITE_HIGH = 65536  # bytes that may wait for a flush
GREEDY_WRITES = 3  # flushes in a row before others get their turn: a fast reader never makes us wait
A_TURN = 1e-6  # seconds; sleep(0) comes back up to 50 times before the loop looks at other sockets
SMALL = 4096  # what may always join the write that is waiting, such as a final dot


class Writer(WaitingSocket):
    """Bytes to the peer, through the TLS layer if there is one; `stuck` as in `Wire`."""

    __slots__ = ("_layer", "_out", "_out_size", "stuck")

    def __init__(self, sock: _socket.socket, timeout: float, clock: Clock | None) -> None:
        super().__init__(sock, timeout, clock)
        self._layer: Layer | None = None
        # No list while nothing waits: one that was emptied holds 32 bytes of the C library's heap, in front of where the stack of
        # an idle greenlet was; the next stack does not fit in there, and each idle connection takes 1.9 KB more.
        self._out: list[bytes] | tuple[()] = ()
        self._out_size = 0
        self.stuck = False

    def write(self, data: bytes) -> None:
        """Send bytes, at the latest when the wire would block to read. Raises OSError, WireTimeout."""
        if self._out:
            self._out.append(data)
        else:
            self._out = [data]
        self._out_size += len(data)
        if self._out_size > WRITE_HIGH and len(data) > SMALL:
            self.flush()

    def send(self, chunks: Iterable[bytes]) -> None:
        """Write every chunk; what is small leaves together. Raises OSError, WireTimeout."""
        in_a_row = 0
        for chunk in chunks:
            if self._out:
                self._out.append(chunk)
            else:
                self._out = [chunk]
            self._out_size += len(chunk)
            if self._out_size > WRITE_HIGH:
                self.flush(keep_last=True)
                in_a_row += 1
                if in_a_row == GREEDY_WRITES:
                    in_a_row = 0
                    sleep(A_TURN)

    def flush(self, keep_last: bool = False) -> None:
        """Hand everything that was written to the kernel. Raises OSError, WireTimeout.

        keep_last: the newest chunk waits for company, so that the end of a message leaves with its final dot.
        """
        out = self._out
        if len(out) == 1 and not keep_last:  # one reply, most often
            data = out[0]
            self._out, self._out_size = (), 0
            self._send_bare(data if self._layer is None else self._layer.encrypt(data))
            return
        if not out or (keep_last and len(out) == 1 and self._out_size <= 4 * WRITE_HIGH):
            return
        last = out.pop() if keep_last and len(out) > 1 else b""
        data = b"".join(out)
        self._out = [last] if last else ()
        self._out_size = len(last)
        self._send_bare(data if self._layer is None else self._layer.encrypt(data))

    def flush_now(self) -> None:
        """Send as much of what was written as the system takes at once, and drop the rest: for goodbyes. Never blocks.

        Raises OSError.
        """
        data = b"".join(self._out)
        self._out, self._out_size = (), 0
        if data and not self.stuck:
            self._sock.send(data if self._layer is None else self._layer.encrypt(data))

    def _send_bare(self, data: bytes) -> None:
        if not data:
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:])

    def _send_rest(self, rest: memoryview) -> None:
        watcher = self._hub.loop.io(self._sock.fileno(), WRITE)
        self.stuck = True
        left = len(rest) + WRITE_HIGH
        try:
            while rest:
                if len(rest) <= left - WRITE_HIGH:  # a peer that takes byte after byte wins no time by it
                    left = len(rest)
                    deadline = min(self._clock.now + self.timeout + SLACK, self.until)
                self._wait_writable(watcher, deadline)
                try:
                    rest = rest[self._sock.send(rest) :]
                except (BlockingIOError, InterruptedError):
                    continue
            self.stuck = False
        finally:
            watcher.stop()
            watcher.close()

    def give_way(self) -> None:
        """Send what waits, then let the other connections have their turn. Raises OSError, WireTimeout."""
        self.flush()
        sleep(A_TURN)
