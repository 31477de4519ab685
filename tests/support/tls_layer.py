"""TLS of the standard library between bytes and bytes: the other end for the product's own."""

from __future__ import annotations

import ssl


class TlsLayer:
    """One TLS session of the standard library. `session` tells cipher, version and certificates once the handshake is done."""

    __slots__ = ("_incoming", "_outgoing", "session")

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )

    patient = False

    def handshake(self) -> bool:
        """Go on with the handshake; False when the peer must send more first. Raises ssl.SSLError."""
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def feed(self, data: bytes) -> None:
        """Take what the peer sent."""
        self._incoming.write(data)

    def outgoing(self) -> bytes:
        """What must be sent to the peer now, b"" when nothing must."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """Plaintext to what goes over the wire."""
        self.session.write(data)
        return self._outgoing.read()

    def read(self, size: int) -> bytes | None:
        """At most `size` bytes of plaintext, b"" at the end, None when the peer must send more first.

        Raises ssl.SSLError.
        """
        try:
            return self.session.read(size)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def goodbye(self) -> bytes:
        """The end of the session as the peer shall read it (RFC 8446 6.1), b"" when there is none to tell."""
        try:
            self.session.unwrap()
        except ssl.SSLError:
            pass  # the peer has not said the same yet, and need not
        return self._outgoing.read()
