"""The reading half of a wire, by lines and by chunks; before it waits for the peer it sends what was written."""

from __future__ import annotations

import _socket
import socket
from fcntl import ioctl
from termios import FIONREAD
from typing import TYPE_CHECKING

from gevent import Timeout

from mta.net.wire_waiting import SLACK
from mta.net.wire_writer import Writer

if TYPE_CHECKING:
    from mta.net.clock import Clock
    from mta.net.tls_layer import Layer

READ_SIZE = 65536  # larger buffers make malloc map and unmap memory for every read
TCP_ESTABLISHED = 1  # <netinet/tcp.h>, first byte of struct tcp_info
GREEDY_READS = (
    3  # full reads in a row before others get their turn: a turn of the loop serves all who are ready
)


class LineTooLong(ValueError):
    """More bytes than the limit arrived without a line end."""


class BareNewline(ValueError):
    """A line feed without a carriage return: not a line end (RFC 5321 2.3.8)."""


class Reader(Writer):
    """Lines and chunks from the peer, through the TLS layer if there is one; `lenient` as in `Wire`."""

    __slots__ = ("_buffer", "_greedy", "_position", "lenient")

    def __init__(
        self,
        sock: _socket.socket,
        *,
        timeout: float = 300.0,
        clock: Clock | None = None,
        lenient: bool = False,
    ) -> None:
        """Take over a connected socket: an ordinary one, or a bare `_socket.socket` that does not block."""
        super().__init__(sock, timeout, clock)
        self._buffer = b""
        self._position = 0
        self._greedy = 0
        self.lenient = lenient

    def read_line(self, limit: int = 512) -> bytes:
        """Return the next line without its line end; at most `limit` bytes with it.

        A bare line feed ends a line too, but one that only a lenient wire accepts: what the peer is told must not depend on
        how its bytes arrive. Raises EOFError when the peer has closed, WireTimeout, LineTooLong, BareNewline (the line is
        consumed), OSError.
        """
        deadline = 0.0
        while True:
            buffer, start = self._buffer, self._position
            end = buffer.find(b"\n", start)
            if end >= 0:
                self._position = end + 1
                if end + 1 - start > limit:
                    raise LineTooLong
                if buffer[end - 1 : end] == b"\r" and end > start:
                    return buffer[start : end - 1]
                if self.lenient:
                    return buffer[start:end]
                raise BareNewline
            if len(buffer) - start > limit:
                raise LineTooLong
            if not deadline:
                deadline = self._before_waiting()
            buffer = b""  # what was read need not be kept for as long as the peer is silent
            self._more(deadline)

    def _before_waiting(self) -> float:
        """Send what waits to be sent, and tell when the peer's time for what is to be read now is over."""
        if self._out:
            self.flush()
        deadline = self._clock.now + self.timeout + SLACK
        return deadline if deadline < self.until else self._last_deadline()

    def _more(self, deadline: float) -> None:
        if self._position:
            self._buffer, self._position = self._buffer[self._position :], 0
        layer = self._layer
        if layer is None:
            data = self._receive_bare(READ_SIZE, deadline)
        else:
            data = self._receive_tls(layer, READ_SIZE, deadline)
        if not data:
            raise EOFError("the peer closed the connection")
        self._buffer = self._buffer + data if self._buffer else data

    def read_chunk(self, size: int = READ_SIZE) -> bytes:
        """Return what has arrived, at most about `size` bytes, or b"" when the peer has closed.

        Raises WireTimeout, OSError.
        """
        if self._position < len(self._buffer):
            data = self._buffer[self._position :]
            self._buffer, self._position = b"", 0
            return data
        return self._receive(size, self._before_waiting())

    def read_some(self, size: int) -> bytes:
        """As read_chunk, but never more than `size` bytes: what has arrived behind them stays where it is."""
        start = self._position
        if start < len(self._buffer):
            data = self._buffer[start : start + size]
            self._position = start + len(data)
            return data
        return self._receive(size, self._before_waiting())

    def unread(self, data: bytes) -> None:
        """Put bytes back in front of what will be read next."""
        self._buffer = data + self._buffer[self._position :]
        self._position = 0

    def peek(self) -> bool:
        """True when the peer has sent something, or closed, already; never blocks, reads nothing."""
        return self.pending or self._glance() is not None

    @property
    def quiet(self) -> bool:
        """True when the peer has said nothing, and has not closed, as far as we know without asking the kernel for it.

        For a wire that was read from last: its watcher goes on when nobody waits, and ends with the first byte, or the end,
        that comes then.
        """
        return not self.pending if self._watching else not self.peek()

    def heard(self) -> bool:
        """True when the peer has sent something already; never blocks, reads nothing."""
        return self._position < len(self._buffer) or self._holds_input()

    @property
    def gone(self) -> bool:
        """True when the peer has closed, whatever it sent before that; never blocks, reads nothing."""
        try:
            return self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_ESTABLISHED
        except OSError:  # no TCP socket, or closed on this side
            return self._glance() == b""

    def hears(self, seconds: float) -> bool:
        """True when the peer sends more than has been read, within so many seconds; all of it is left to be read.

        Raises EOFError when the peer has closed, WireTimeout, OSError.
        """
        if self._out:
            self.flush()
        if seconds <= 0:
            return self._holds_input()
        known = self._unread
        with Timeout(seconds, False):  # type: ignore[arg-type]  # False: what is thrown ends here
            while self._unread == known:
                self._more(self._last_deadline())
        return self._unread > known

    @property
    def _unread(self) -> int:
        return len(self._buffer) - self._position

    def _glance(self) -> bytes | None:
        """The next byte that the kernel holds, b"" when the peer has closed, None when neither."""
        try:
            return self._sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def _holds_input(self) -> bool:
        """True when the kernel holds bytes of the peer. A recv that finds nothing costs twice as much, by its exception."""
        if self.closed:
            return False
        size = bytearray(4)  # an int of C
        ioctl(self._sock.fileno(), FIONREAD, size)
        return any(size)

    def discard_input(self) -> None:
        """Forget what has arrived: closing with unread input makes the system throw away the last reply as well."""
        self._buffer, self._position = b"", 0
        if not self._holds_input():
            return
        try:
            for _ in range(GREEDY_READS):
                if len(self._sock.recv(READ_SIZE)) < READ_SIZE:
                    return
        except OSError:
            return  # nothing there, or nobody

    @property
    def pending(self) -> bool:
        """True when bytes have arrived that nobody has read."""
        return self._position < len(self._buffer)

    def _receive(self, size: int, deadline: float) -> bytes:
        if self._layer is not None:
            return self._receive_tls(self._layer, size, deadline)
        return self._receive_bare(size, deadline)

    def _receive_bare(self, size: int, deadline: float) -> bytes:
        # After a full read more is likely there: try at once, but give way now and then.
        if not 0 < self._greedy < GREEDY_READS:
            self._greedy = 0
            self._wait_readable(deadline)
        while True:
            try:
                data = self._sock.recv(size)
            except (BlockingIOError, InterruptedError):
                pass  # to wait here would keep the exception, and its frames, for as long
            else:
                self._greedy = self._greedy + 1 if len(data) == size else 0
                return data
            self._greedy = 0
            self._wait_readable(deadline)

    def _received_bare(self, deadline: float) -> bytes:
        data = self._receive_bare(READ_SIZE, deadline)
        if not data:
            raise EOFError("the peer closed the connection")
        return data

    def _receive_tls(self, layer: Layer, size: int, deadline: float) -> bytes:
        while (data := layer.read(size)) is None:
            self._send_bare(layer.outgoing())
            try:
                layer.feed(self._received_bare(deadline))
            except EOFError:
                return b""
        return data
