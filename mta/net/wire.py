"""One connected socket, read by lines and chunks in blocking style.

The event loop is met here and nowhere else on the path of a message. Each wire keeps one read watcher started for as
long as its greenlet keeps coming back to read, and the watcher's callback switches straight into that greenlet: measured
at 2.4 times plain gevent, which makes a waiter and starts and stops a watcher for every read. What is written waits in
memory until the wire would block, so replies to pipelined commands leave in one send (RFC 2920 3.2).
"""

from __future__ import annotations

import _socket
import socket
from typing import TYPE_CHECKING, Any

from gevent import get_hub, getcurrent

from mta.net.clock import Clock, default_clock
from mta.net.tls_layer import TlsLayer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from greenlet import greenlet

READ, WRITE = 1, 2
READ_SIZE = 65536  # larger buffers make malloc map and unmap memory for every read
WRITE_HIGH = 65536  # bytes that may wait for a flush
GREEDY_READS = 16  # full reads in a row before other connections get their turn
SMALL = 4096  # what may always join the write that is waiting, such as a final dot


class WireTimeout(TimeoutError):
    """The peer sent, or took, nothing for as long as the wire's timeout."""


class LineTooLong(ValueError):
    """More bytes than the limit arrived without a line end."""


class BareNewline(ValueError):
    """A line feed without a carriage return: not a line end (RFC 5321 2.3.8)."""


class Wire:
    """A connected socket; every method blocks the calling greenlet only.

    timeout: seconds that one wait for the peer may last, exact to about a second; change it at any time.
    lenient: a bare line feed ends a line.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_clock",
        "_greedy",
        "_hub",
        "_layer",
        "_out",
        "_out_size",
        "_position",
        "_sock",
        "_waiter",
        "_watcher",
        "_watching",
        "closed",
        "deadline",
        "lenient",
        "timeout",
    )

    def __init__(
        self,
        sock: _socket.socket,
        *,
        timeout: float = 300.0,
        clock: Clock | None = None,
        lenient: bool = False,
    ) -> None:
        """Take over a connected socket: an ordinary one, or a bare `_socket.socket` that does not block."""
        self._sock = _bare(sock)
        self._hub = get_hub()
        self._clock = clock or default_clock()
        self._watcher = self._hub.loop.io(self._sock.fileno(), READ)
        self._watching = False
        self._waiter: greenlet | None = None
        self._buffer = b""
        self._position = 0
        self._greedy = 0
        self._out: list[bytes] = []
        self._out_size = 0
        self._layer: TlsLayer | None = None
        self.timeout = timeout
        self.deadline = float("inf")
        self.lenient = lenient
        self.closed = False
        self._clock.add(self)

    # -- reading ------------------------------------------------------------------------------------------------------

    def read_line(self, limit: int = 512) -> bytes:
        """Return the next line without its CRLF; at most `limit` bytes with it.

        Raises EOFError when the peer has closed, WireTimeout, LineTooLong, BareNewline (the line is consumed), OSError.
        """
        if self.lenient:
            return self._read_lenient_line(limit)
        while True:
            buffer, start = self._buffer, self._position
            end = buffer.find(b"\r\n", start)
            if end >= 0:
                self._position = end + 2
                if end + 2 - start > limit:
                    raise LineTooLong
                line = buffer[start:end]
                if b"\n" in line:
                    raise BareNewline
                return line
            if len(buffer) - start > limit:
                raise LineTooLong
            if buffer.endswith(b"\n", start):
                # Nothing but bare line feeds so far: say so now, the peer may never send another byte.
                self._position = len(buffer)
                raise BareNewline
            self._more()

    def _read_lenient_line(self, limit: int) -> bytes:
        while True:
            start = self._position
            end = self._buffer.find(b"\n", start)
            if end >= 0:
                self._position = end + 1
                if end + 1 - start > limit:
                    raise LineTooLong
                return self._buffer[start:end].removesuffix(b"\r")
            if len(self._buffer) - start > limit:
                raise LineTooLong
            self._more()

    def _more(self) -> None:
        data = self._receive(READ_SIZE)
        if not data:
            raise EOFError("the peer closed the connection")
        start = self._position
        self._buffer = self._buffer[start:] + data if start < len(self._buffer) else data
        self._position = 0

    def read_chunk(self, size: int = READ_SIZE) -> bytes:
        """Return what has arrived, at most about `size` bytes, or b"" when the peer has closed.

        Raises WireTimeout, OSError.
        """
        if self._position < len(self._buffer):
            data = self._buffer[self._position :]
            self._buffer, self._position = b"", 0
            return data
        return self._receive(size)

    def unread(self, data: bytes) -> None:
        """Put bytes back in front of what will be read next."""
        self._buffer = data + self._buffer[self._position :]
        self._position = 0

    def peek(self) -> bool:
        """True when the peer has sent something, or closed, already; never blocks, reads nothing."""
        if self._position < len(self._buffer):
            return True
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        return True

    @property
    def pending(self) -> bool:
        """True when bytes have arrived that nobody has read."""
        return self._position < len(self._buffer)

    def _receive(self, size: int) -> bytes:
        if self._out:
            self.flush()
        if self._layer is not None:
            return self._receive_tls(self._layer, size)
        return self._receive_bare(size)

    def _receive_bare(self, size: int) -> bytes:
        # After a full read more is likely there: try at once, but give way now and then.
        if not 0 < self._greedy < GREEDY_READS:
            self._greedy = 0
            self._wait_readable()
        while True:
            try:
                data = self._sock.recv(size)
            except (BlockingIOError, InterruptedError):
                self._greedy = 0
                self._wait_readable()
                continue
            self._greedy = self._greedy + 1 if len(data) == size else 0
            return data

    def _wait_readable(self) -> None:
        if self.closed:
            raise OSError("the wire is closed")
        self._waiter = getcurrent()
        self.deadline = self._clock.now + self.timeout + 1.0
        if not self._watching:
            self._watching = True
            self._watcher.start(self._readable)
        try:
            self._hub.switch()
        finally:
            self._waiter = None

    def _readable(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            waiter.switch()
        else:
            # The greenlet is busy elsewhere (a hook, the disk): stop, or the loop would spin on this socket.
            self._watcher.stop()
            self._watching = False

    def expire(self) -> None:
        """Called by the clock when the deadline has passed: the waiting greenlet gets WireTimeout."""
        self.deadline = float("inf")
        if self._waiter is not None:
            self._waiter.throw(WireTimeout("timeout"))

    def abort(self) -> None:
        """End the wait that another greenlet is in, if it is: to that greenlet it looks as if the peer had closed."""
        self._hub.loop.run_callback(self._abort_wait)

    def _abort_wait(self) -> None:
        if self._waiter is not None:
            self._waiter.throw(EOFError("closed on this side"))

    # -- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes, at the latest when the wire would block to read. Raises OSError, WireTimeout."""
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size > WRITE_HIGH and len(data) > SMALL:
            self.flush()

    def send(self, chunks: Iterable[bytes]) -> None:
        """Write every chunk; what is small leaves together. Raises OSError, WireTimeout."""
        for chunk in chunks:
            self._out.append(chunk)
            self._out_size += len(chunk)
            if self._out_size > WRITE_HIGH:
                self.flush(keep_last=True)

    def flush(self, keep_last: bool = False) -> None:
        """Hand everything that was written to the kernel. Raises OSError, WireTimeout.

        keep_last: the newest chunk waits for company, so that the end of a message leaves with its final dot.
        """
        out = self._out
        if keep_last and len(out) == 1 and self._out_size <= 4 * WRITE_HIGH:
            return
        last = out.pop() if keep_last and len(out) > 1 else b""
        if not out:
            self._out = [last] if last else []
            self._out_size = len(last)
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        self._out = [last] if last else []
        self._out_size = len(last)
        self._send_bare(data if self._layer is None else self._layer.encrypt(data))

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
        try:
            while rest:
                self._wait_writable(watcher)
                try:
                    rest = rest[self._sock.send(rest) :]
                except (BlockingIOError, InterruptedError):
                    continue
        finally:
            watcher.stop()
            watcher.close()

    def _wait_writable(self, watcher: Any) -> None:
        if self._watching:
            self._watcher.stop()
            self._watching = False
        waiter = self._waiter = getcurrent()
        self.deadline = self._clock.now + self.timeout + 1.0
        watcher.start(waiter.switch)
        try:
            self._hub.switch()
        finally:
            watcher.stop()
            self._waiter = None

    # -- TLS ----------------------------------------------------------------------------------------------------------

    def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        """Do a TLS handshake; from then on everything is encrypted.

        What the peer sent before the handshake is dropped (CVE-2011-0411). Raises ssl.SSLError, OSError, WireTimeout,
        EOFError.
        """
        self.flush()
        self._buffer, self._position = b"", 0
        layer = TlsLayer(context, server_side=server_side, server_hostname=server_hostname)
        try:
            while not layer.handshake():
                self._send_bare(layer.outgoing())
                layer.feed(self._received_bare())
        finally:
            self._send_bare(layer.outgoing())  # the last flight, or the alert that says what was wrong
        self._layer = layer

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session: its cipher, version and peer certificate; None in clear."""
        return self._layer.session if self._layer is not None else None

    def _received_bare(self) -> bytes:
        data = self._receive_bare(READ_SIZE)
        if not data:
            raise EOFError("the peer closed the connection")
        return data

    def _receive_tls(self, layer: TlsLayer, size: int) -> bytes:
        while (data := layer.read(size)) is None:
            self._send_bare(layer.outgoing())
            try:
                layer.feed(self._received_bare())
            except EOFError:
                return b""
        return data

    # -- the rest -----------------------------------------------------------------------------------------------------

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of the other side; ("", 0) for a unix socket."""
        return _name(self._sock.getpeername)

    @property
    def local(self) -> tuple[str, int]:
        """Address and port of this side; ("", 0) for a unix socket."""
        return _name(self._sock.getsockname)

    def close(self) -> None:
        """Close the socket; what was written but not flushed is lost. Harmless when repeated."""
        if self.closed:
            return
        self.closed = True
        self._clock.remove(self)
        self._watcher.stop()
        self._watcher.close()
        self._sock.close()


def connect(host: str, port: int, *, timeout: float, bind: str | None = None) -> Wire:
    """Open a TCP connection to an address or name. Raises OSError; timeout in seconds, for the connection only."""
    source = (bind, 0) if bind else None
    sock = socket.create_connection((host, port), timeout=timeout, source_address=source)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(sock)


def connect_unix(path: str, *, timeout: float) -> Wire:
    """Open a connection to a unix socket. Raises OSError; timeout in seconds, for the connection only."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return Wire(sock)


def _bare(sock: _socket.socket) -> _socket.socket:
    """The C socket below: Python's and gevent's wrappers cost more than the system calls."""
    if type(sock) is _socket.socket:
        return sock
    bare = _socket.socket(sock.family, sock.type, sock.proto, sock.detach())
    bare.setblocking(False)
    return bare


def _name(ask: Callable[[], Any]) -> tuple[str, int]:
    name = ask()
    return (name[0], name[1]) if isinstance(name, tuple) else ("", 0)
