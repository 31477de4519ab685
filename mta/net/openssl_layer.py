"""One end of a TLS session of pyOpenSSL, between bytes and bytes like tls_layer.

The standard library can't do what a mail server needs: look at the certificate of a peer without refusing the many that
have one nobody can verify, see the chain that was sent, and bind SCRAM to TLS 1.3 (RFC 9266).
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL

_RECORD = 16384  # bytes of plaintext in one TLS record (RFC 8446 5.1): no read gives more
_OUTGOING = 32768
_OVERHEAD = 512  # more than encryption adds to one record

_WORDS: dict[int, str] = {
    code: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, code in vars(SSL.X509VerificationCodes).items()
    if name.startswith("ERR_")
}


def words(code: int) -> str:
    """What is wrong with a certificate, from the error code of OpenSSL's chain verification."""
    return _WORDS.get(code, f"X.509 error {code}")


class OpenSslLayer(ABC):
    """One TLS session, in the layer's terms: bytes in by `feed`, bytes out by `outgoing`."""

    __slots__ = ("_session",)

    def __init__(self, session: SSL.Connection) -> None:
        self._session = session

    @property
    def patient(self) -> bool:
        """True when the peer needs nothing of what the handshake leaves to be sent."""
        return False

    def handshake(self) -> bool:
        """Go on with the handshake; False when the peer must send more first. Raises ssl.SSLError."""
        try:
            self._session.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise _as_ssl_error(error) from None
        return True

    def feed(self, data: bytes) -> None:
        """Take what the peer sent."""
        if data:
            self._session.bio_write(data)

    def outgoing(self) -> bytes:
        """What must be sent to the peer now, b"" when nothing must."""
        return self._taken(_OUTGOING)

    def _taken(self, size: int) -> bytes:
        """All that waits to be sent. size: about what that may be, as buffers of nothing cost time, and errors more."""
        pieces: list[bytes] = []
        while True:
            try:
                piece = self._session.bio_read(size)
            except SSL.Error:
                return b"".join(pieces)
            if len(piece) < size and not pieces:
                return piece
            pieces.append(piece)
            if len(piece) < size:
                return b"".join(pieces)

    def encrypt(self, data: bytes) -> bytes:
        """Plaintext to what goes over the wire. Raises ssl.SSLError."""
        try:
            self._session.sendall(data)
        except SSL.Error as error:
            raise _as_ssl_error(error) from None
        return self._taken(min(len(data) + _OVERHEAD, _OUTGOING))

    def read(self, size: int) -> bytes | None:
        """At most `size` bytes of plaintext, b"" at the end, None when the peer must send more first.

        Raises ssl.SSLError.
        """
        try:
            return self._session.recv(min(size, _RECORD))
        except SSL.WantReadError:
            return None
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return b""
        except SSL.Error as error:
            raise _as_ssl_error(error) from None

    def goodbye(self) -> bytes:
        """The end of the session as the peer shall read it (RFC 8446 6.1)."""
        try:
            self._session.shutdown()
        except SSL.Error:
            return b""  # a session that broke has no end
        return self.outgoing()

    def channel_binding(self, kind: str) -> bytes | None:
        """The data of `tls-exporter` (RFC 9266) or `tls-server-end-point` (RFC 5929 4.1); None when there is none."""
        if kind == "tls-exporter" and self.version == "TLSv1.3":
            return self._session.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        if kind == "tls-server-end-point":
            return end_point(self._server_certificate())
        return None

    @abstractmethod
    def _server_certificate(self) -> x509.Certificate | None:
        """The certificate of whichever side is the server."""

    @property
    def cipher(self) -> str:
        """The name of the cipher."""
        return self._session.get_cipher_name() or ""

    @property
    def version(self) -> str:
        """`TLSv1.3` and the like."""
        return self._session.get_protocol_version_name()

    @property
    def peer_certificate(self) -> x509.Certificate | None:
        """The peer's certificate, verified or not."""
        return self._session.get_peer_certificate(as_cryptography=True)


def end_point(certificate: x509.Certificate | None) -> bytes | None:
    """The data of `tls-server-end-point` (RFC 5929 4.1) for the server's certificate; None when there is none."""
    if certificate is None:
        return None
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None  # Ed25519: RFC 5929 leaves it undefined
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)


def _as_ssl_error(error: SSL.Error) -> ssl.SSLError:
    """The same as the wire and the session know it, with OpenSSL's own words."""
    if isinstance(error, SSL.SysCallError):
        return ssl.SSLError(1, "the peer closed the connection")
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reasons = [reason for _, _, reason in queue if reason]
    return ssl.SSLError(1, ", ".join(reasons) or "TLS error")
