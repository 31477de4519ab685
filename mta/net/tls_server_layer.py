"""The server's end of a TLS session, between bytes and bytes like tls_layer.

The standard library can't do what a mail server needs here: ask a client for a certificate without refusing the many
that have one nobody can verify, and bind SCRAM to TLS 1.3 (RFC 9266). So this side is pyOpenSSL.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL

if TYPE_CHECKING:
    from mta.net.tls_contexts import Choice, Contexts

_RECORD = 16384  # bytes of plaintext in one TLS record (RFC 8446 5.1): no read gives more
_OUTGOING = 32768

# The names of what can be wrong with a certificate, as words.
_WORDS: dict[int, str] = {
    code: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, code in vars(SSL.X509VerificationCodes).items()
    if name.startswith("ERR_")
}


class Verdict:
    """What verifying a client's certificate came to: `asked` when it was done in this handshake, `error` the first fault.

    choice: what the client gets, as far as it is known by then.
    """

    __slots__ = ("asked", "choice", "error")

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.asked = False
        self.error = 0

    @property
    def reason(self) -> str:
        """The fault in words, "" when there was none."""
        return _WORDS.get(self.error, f"X.509 error {self.error}") if self.error else ""


class ServerTlsLayer:
    """One TLS session with a client, in the layer's terms: bytes in by `feed`, bytes out by `outgoing`."""

    __slots__ = ("_session", "_verdict")

    def __init__(self, contexts: Contexts) -> None:
        self._session = SSL.Connection(contexts.entry)
        self._verdict = Verdict(contexts.default)
        self._session.set_app_data(self._verdict)
        self._session.set_accept_state()

    def handshake(self) -> bool:
        """Go on with the handshake; False when the client must send more first. Raises ssl.SSLError."""
        try:
            self._session.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise _as_ssl_error(error) from None
        if self._session.get_protocol_version() < self._verdict.choice.oldest:
            raise ssl.SSLError(1, f"{self.version} is too old for {self.server_name or 'this server'}")
        return True

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        if data:
            self._session.bio_write(data)

    def outgoing(self) -> bytes:
        """What must be sent to the client now, b"" when nothing must."""
        pieces = []
        while True:
            try:
                pieces.append(self._session.bio_read(_OUTGOING))
            except SSL.Error:
                return b"".join(pieces)

    def encrypt(self, data: bytes) -> bytes:
        """Plaintext to what goes over the wire. Raises ssl.SSLError."""
        try:
            self._session.sendall(data)
        except SSL.Error as error:
            raise _as_ssl_error(error) from None
        return self.outgoing()

    def read(self, size: int) -> bytes | None:
        """At most `size` bytes of plaintext, b"" at the end, None when the client must send more first.

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
        """The end of the session as the client shall read it (RFC 8446 6.1)."""
        try:
            self._session.shutdown()
        except SSL.Error:
            return b""  # a session that broke has no end
        return self.outgoing()

    # -- what was agreed ----------------------------------------------------------------------------------------------

    @property
    def cipher(self) -> str:
        """The name of the cipher."""
        return self._session.get_cipher_name() or ""

    @property
    def version(self) -> str:
        """`TLSv1.3` and the like."""
        return self._session.get_protocol_version_name()

    @property
    def server_name(self) -> str:
        """The host that the client asked for (SNI), "" when it named none."""
        return (self._session.get_servername() or b"").decode("latin-1")

    @property
    def peer_certificate(self) -> x509.Certificate | None:
        """The client's certificate, verified or not."""
        return self._session.get_peer_certificate(as_cryptography=True)

    @property
    def verdict(self) -> Verdict:
        """What verifying the client's certificate came to; a resumed session verifies nothing."""
        return self._verdict

    def channel_binding(self, kind: str) -> bytes | None:
        """The data of `tls-exporter` (RFC 9266) or `tls-server-end-point` (RFC 5929 4.1); None when there is none."""
        if kind == "tls-exporter" and self.version == "TLSv1.3":
            return self._session.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        if kind == "tls-server-end-point":
            return _end_point(self._session.get_certificate(as_cryptography=True))
        return None


def _end_point(certificate: x509.Certificate | None) -> bytes | None:
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
        return ssl.SSLError(1, "the client closed the connection")
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reasons = [reason for _, _, reason in queue if reason]
    return ssl.SSLError(1, ", ".join(reasons) or "TLS error")
