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

from gevent import get_hub, getcurrent, sleep

from mta.net.clock import Clock, default_clock
from mta.net.tls_layer import Layer, TlsLayer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from greenlet import greenlet

READ, WRITE = 1, 2
READ_SIZE = 65536  # larger buffers make malloc map and unmap memory for every read
WRITE_HIGH = 65536  # bytes that may wait for a flush
GREEDY_READS = 16  # full reads in a row before other connections get their turn
NEVER = float("inf")
A_TURN = 1e-6  # seconds; sleep(0) comes back up to 50 times before the loop looks at other sockets
SLACK = 1.0  # seconds; the clock's time may be a tick old
SMALL = 4096  # what may always join the write that is waiting, such as a final dot


class WireTimeout(TimeoutError):
    """The peer sent, or took, nothing for as long as the wire's timeout."""


class LineTooLong(ValueError):
    """More bytes than the limit arrived without a line end."""


class BareNewline(ValueError):
    """A line feed without a carriage return: not a line end (RFC 5321 2.3.8)."""


class Wire:
    """A connected socket; every method blocks the calling greenlet only.

    timeout: seconds for one line, one chunk or one handshake to arrive whole, however the bytes drip in, and for the peer
    to take 64 KB; exact to about a second; change it at any time.
    until: the clock's time at which every wait ends, whatever the timeout says; WireTimeout, too.
    lenient: a bare line feed ends a line.
    stuck: the peer does not take what we send, at the moment or any more.
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
        "stuck",
        "timeout",
        "until",
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
        self.stuck = False
        self._out: list[bytes] = []
        self._out_size = 0
        self._layer: Layer | None = None
        self.timeout = timeout
        self.deadline = NEVER
        self.until = NEVER
        self.lenient = lenient
        self.closed = False
        self._clock.add(self)

    # -- reading ------------------------------------------------------------------------------------------------------

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
            deadline = deadline or self._before_waiting()
            self._more(deadline)

    def _before_waiting(self) -> float:
        """Send what waits to be sent, and tell when the peer's time for what is to be read now is over."""
        if self._out:
            self.flush()
        deadline = self._clock.now + self.timeout + SLACK
        return deadline if deadline < self.until else self._last_deadline()

    def _last_deadline(self) -> float:
        if self._clock.now >= self.until:
            raise WireTimeout("timeout")  # a peer that never makes us wait would escape the clock
        return self.until

    def _more(self, deadline: float) -> None:
        layer = self._layer
        if layer is None:
            data = self._receive_bare(READ_SIZE, deadline)
        else:
            data = self._receive_tls(layer, READ_SIZE, deadline)
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

    def heard(self) -> bool:
        """True when the peer has sent something already; never blocks, reads nothing."""
        return self.pending or bool(self._glance())

    def _glance(self) -> bytes | None:
        """The next byte that the kernel holds, b"" when the peer has closed, None when neither."""
        try:
            return self._sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    @property
    def now(self) -> float:
        """The time in seconds that `until` is measured by, up to a second old."""
        return self._clock.now

    def discard_input(self) -> None:
        """Forget what has arrived: closing with unread input makes the system throw away the last reply as well."""
        self._buffer, self._position = b"", 0
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
                self._greedy = 0
                self._wait_readable(deadline)
                continue
            self._greedy = self._greedy + 1 if len(data) == size else 0
            return data

    def _wait_readable(self, deadline: float) -> None:
        if self.closed:
            raise OSError("the wire is closed")
        self._waiter = getcurrent()
        self.deadline = deadline
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
        self.deadline = NEVER
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

    def flush_now(self) -> None:
        """Send as much of what was written as the system takes at once, and drop the rest: for goodbyes. Never blocks.

        Raises OSError.
        """
        data = b"".join(self._out)
        self._out, self._out_size = [], 0
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

    def _wait_writable(self, watcher: Any, deadline: float) -> None:
        if self._watching:
            self._watcher.stop()
            self._watching = False
        waiter = self._waiter = getcurrent()
        self.deadline = deadline
        watcher.start(waiter.switch)
        try:
            self._hub.switch()
        finally:
            watcher.stop()
            self._waiter = None

    def give_way(self) -> None:
        """Send what waits, then let the other connections have their turn. Raises OSError, WireTimeout."""
        self.flush()
        sleep(A_TURN)

    # -- TLS ----------------------------------------------------------------------------------------------------------

    def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        """Do a TLS handshake; from then on everything is encrypted.

        What the peer sent before the handshake is dropped (CVE-2011-0411). Raises ssl.SSLError, OSError, WireTimeout,
        EOFError.
        """
        self.secure(TlsLayer(context, server_side=server_side, server_hostname=server_hostname))

    def secure(self, layer: Layer, *, keep_input: bool = False) -> None:
        """The same with a session that is made already.

        keep_input: what has arrived is the beginning of the handshake, as behind the line of a PROXY.
        """
        self.flush()
        if keep_input and self.pending:
            layer.feed(self._buffer[self._position :])
        self._buffer, self._position = b"", 0
        deadline = self._before_waiting()
        try:
            while not layer.handshake():
                self._send_bare(layer.outgoing())
                layer.feed(self._received_bare(deadline))
        finally:
            self._send_bare(layer.outgoing())  # the last flight, or the alert that says what was wrong
        self._layer = layer

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The standard library's TLS session: its cipher, version and peer certificate; None in clear."""
        return self._layer.session if isinstance(self._layer, TlsLayer) else None

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
        if self._layer is not None:
            self._say_goodbye(self._layer)
        self._clock.remove(self)
        self._watcher.stop()
        self._watcher.close()
        self._sock.close()

    def _say_goodbye(self, layer: Layer) -> None:
        """Tell the peer that nothing was cut off, as far as that is possible without waiting."""
        try:
            self._sock.send(layer.goodbye())
        except OSError:
            pass  # it has gone before, or does not read


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
