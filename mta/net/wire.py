"""One connected socket, read by lines and chunks in blocking style, in clear or over TLS.

It is put together of three: the socket that can be waited for, the writing half, and the reading half, which must write
before it waits. They inherit from each other in this order, so that the hot path costs no call between objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mta.net.wire_reader import BareNewline, LineTooLong, Reader
from mta.net.wire_waiting import READ, SLACK, WireTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from mta.net.tls_layer import Layer

__all__ = ["READ", "SLACK", "BareNewline", "LineTooLong", "Wire", "WireTimeout"]


class Wire(Reader):
    """A connected socket; every method blocks the calling greenlet only.

    timeout: seconds for one line, one chunk or one handshake to arrive whole, however the bytes drip in, and for the peer
    to take 64 KB; exact to about a second; change it at any time.
    until: the clock's time at which every wait ends, whatever the timeout says; WireTimeout, too.
    lenient: a bare line feed ends a line.
    stuck: the peer does not take what we send, at the moment or any more.
    """

    __slots__ = ()

    def secure(self, layer: Layer, *, keep_input: bool = False) -> None:
        """Do a TLS handshake with this session; from then on everything is encrypted.

        What the peer sent before the handshake is dropped (CVE-2011-0411). keep_input: it is the beginning of the handshake, as
        behind the line of a PROXY. Raises ssl.SSLError, OSError, WireTimeout, EOFError.
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
        except BaseException:
            self._send_bare(layer.outgoing())  # the alert that says what was wrong
            raise
        if not layer.patient:
            self._send_bare(layer.outgoing())
        self._layer = layer

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
        if self._layer is not None:
            self._say_goodbye(self._layer)
        Reader.close(self)

    def _say_goodbye(self, layer: Layer) -> None:
        """Tell the peer that nothing was cut off, as far as that is possible without waiting."""
        try:
            self._sock.send(layer.goodbye())
        except OSError:
            pass  # it has gone before, or does not read


def _name(ask: Callable[[], Any]) -> tuple[str, int]:
    name = ask()
    return (name[0], name[1]) if isinstance(name, tuple) else ("", 0)
