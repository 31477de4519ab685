"""TLS between bytes and bytes: what it reads and writes goes through memory, so the wire alone waits for the socket."""

from __future__ import annotations

from typing import Protocol


class Layer(Protocol):
    """What the wire needs of a TLS session, whichever side of it this is."""

    @property
    def patient(self) -> bool:
        """True when the peer needs nothing of what the handshake leaves to be sent: it may go with what is said next."""
        ...

    def handshake(self) -> bool:
        """Go on with the handshake; False when the peer must send more first. Raises ssl.SSLError."""
        ...

    def feed(self, data: bytes) -> None:
        """Take what the peer sent."""
        ...

    def outgoing(self) -> bytes:
        """What must be sent to the peer now, b"" when nothing must."""
        ...

    def encrypt(self, data: bytes) -> bytes:
        """Plaintext to what goes over the wire. Raises ssl.SSLError."""
        ...

    def read(self, size: int) -> bytes | None:
        """At most `size` bytes of plaintext, b"" at the end, None when the peer must send more first."""
        ...

    def goodbye(self) -> bytes:
        """The end of the session as the peer shall read it (RFC 8446 6.1), b"" when there is none to tell."""
        ...
