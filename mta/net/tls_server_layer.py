"""The server's end of a TLS session."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from OpenSSL import SSL

from mta.net.openssl_layer import OpenSslLayer, words

if TYPE_CHECKING:
    from mta.net.tls_contexts import Choice, Contexts


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
        return words(self.error) if self.error else ""


class ServerTlsLayer(OpenSslLayer):
    """One TLS session with a client, in the layer's terms: bytes in by `feed`, bytes out by `outgoing`."""

    __slots__ = ("_verdict",)

    def __init__(self, contexts: Contexts) -> None:
        super().__init__(SSL.Connection(contexts.entry))
        self._verdict = Verdict(contexts.default)
        self._session.set_app_data(self._verdict)
        self._session.set_accept_state()

    def handshake(self) -> bool:
        """Go on with the handshake; False when the client must send more first. Raises ssl.SSLError."""
        if not super().handshake():
            return False
        if self._session.get_protocol_version() < self._verdict.choice.oldest:
            raise ssl.SSLError(1, f"{self.version} is too old for {self.server_name or 'this server'}")
        return True

    @property
    def patient(self) -> bool:
        """From TLS 1.3 on the handshake ends with what the client says, and all that we have left are tickets."""
        return self._session.get_protocol_version() >= SSL.TLS1_3_VERSION

    @property
    def server_name(self) -> str:
        """The host that the client asked for (SNI), "" when it named none."""
        return (self._session.get_servername() or b"").decode("latin-1")

    @property
    def verdict(self) -> Verdict:
        """What verifying the client's certificate came to; a resumed session verifies nothing."""
        return self._verdict

    def _server_certificate(self) -> x509.Certificate | None:
        return self._session.get_certificate(as_cryptography=True)
