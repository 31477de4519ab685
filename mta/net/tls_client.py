"""Our side of TLS when we open the connection: what we speak, whom we trust, and the certificate we show if asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509
from OpenSSL import SSL, crypto

from mta.net.certificate_names import names
from mta.net.certificates import KeyPair
from mta.net.ip import is_ip
from mta.net.openssl_layer import OpenSslLayer
from mta.net.tls_contexts import VERSIONS, TlsSettingsError, trust_the_system
from mta.net.tls_faults import fault_of
from mta.net.tls_security import TlsFault


class TlsClient:
    """Makes the client's end of TLS sessions. Never changed: new settings make a new one, and connections of their own.

    ca: path of a PEM file with the authorities that are believed, "" for the system's, None for nobody; pair: shown to hosts
    that ask for a certificate. Raises TlsSettingsError.
    """

    __slots__ = ("_context",)

    def __init__(
        self,
        *,
        ca: str | None = "",
        ciphers: str = "",
        min_version: str = "TLSv1.2",
        pair: KeyPair | None = None,
    ) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(VERSIONS[min_version])
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_verify(SSL.VERIFY_PEER, _note)
        try:
            context.set_cipher_list(_ciphers(ciphers, min_version).encode())
            if ca:
                context.load_verify_locations(ca)
            elif ca is not None:
                trust_the_system(context)
            if pair is not None:
                _show(context, pair)
        except (SSL.Error, crypto.Error, TypeError, ValueError) as error:
            raise TlsSettingsError(_reason(error)) from None
        self._context = context

    def layer(self, server_name: str) -> ClientTlsLayer:
        """A new session with a host; server_name is what it is asked for by (SNI), unless that is an address."""
        return ClientTlsLayer(self._context, server_name)


@lru_cache(maxsize=16)
def default_client(ca: str = "") -> TlsClient:
    """The client with default settings; the same object for the same authorities, as to load them takes milliseconds."""
    return TlsClient(ca=ca)


class ClientTlsLayer(OpenSslLayer):
    """One TLS session with a host. Its certificate is looked at, and refused by nobody here."""

    __slots__ = ("_errors",)

    def __init__(self, context: SSL.Context, server_name: str) -> None:
        session = SSL.Connection(context)
        super().__init__(session)
        self._errors: list[int] = []
        session.set_app_data(self._errors)
        if server_name and not is_ip(server_name):
            session.set_tlsext_host_name(server_name.rstrip(".").encode())
        session.set_connect_state()

    def _server_certificate(self) -> x509.Certificate | None:
        return self.peer_certificate

    @property
    def chain(self) -> Sequence[x509.Certificate]:
        """The certificates that the host sent, its own first."""
        return self._session.get_peer_cert_chain(as_cryptography=True) or ()

    def fault(self, hosts: Sequence[str]) -> TlsFault | None:
        """Why the certificate does not prove that this is one of the hosts (PKIX: RFC 5280, RFC 9525); None when it does."""
        certificate = self.peer_certificate
        if certificate is None:
            return TlsFault("validation-failure", "there is no certificate")
        if self._errors:
            return fault_of(self._errors[0])
        if not names(certificate, hosts):
            return TlsFault(
                "certificate-host-mismatch", f"the certificate does not name {' or '.join(hosts)}"
            )
        return None


def _note(session: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    """Called for each certificate of the chain: remember what is wrong, and go on."""
    if not ok:
        session.get_app_data().append(error)
    return True


def _ciphers(ciphers: str, min_version: str) -> str:
    text = ciphers or "DEFAULT"
    if min_version in ("TLSv1", "TLSv1.1") and "@SECLEVEL" not in text:
        text += ":@SECLEVEL=0"  # OpenSSL 3 does no TLS before 1.2 at any other level
    return text


def _show(context: SSL.Context, pair: KeyPair) -> None:
    leaf, *issuers = pair.chain
    context.use_certificate(leaf)
    for issuer in issuers:
        context.add_extra_chain_cert(issuer)
    context.use_privatekey(pair.key)


def _reason(error: Exception) -> str:
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(reason for _, _, reason in queue if reason) or str(error) or type(error).__name__
