"""OpenSSL contexts made of certificates and tls.ini: which certificate a client gets depends on the name it asks for."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

if TYPE_CHECKING:
    from mta.config.schema import TlsSettings
    from mta.net.certificates import KeyPair
    from mta.net.tls_server_layer import Verdict

VERSIONS = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
_OLD_VERSIONS = ("TLSv1", "TLSv1.1")


class TlsSettingsError(ValueError):
    """Something in tls.ini, or a file that it names, that OpenSSL does not take; the text says what."""


class Contexts:
    """The contexts for one set of certificates; never changed, new certificates make a new one.

    pairs: all certificates; defaults: those for clients that name no host, or one that is unknown. insist: clients must
    present a certificate that can be verified. Raises TlsSettingsError.
    """

    __slots__ = ("_by_name", "default")

    def __init__(
        self, options: Options, pairs: Sequence[KeyPair], defaults: Sequence[KeyPair], *, insist: bool
    ) -> None:
        made: dict[tuple[int, ...], SSL.Context] = {}

        def context_for(chosen: Sequence[KeyPair]) -> SSL.Context:
            identity = tuple(sorted(map(id, chosen)))
            if identity not in made:
                made[identity] = options.context(chosen, insist=insist)
            return made[identity]

        self._by_name = {name: context_for(chosen) for name, chosen in _by_name(pairs).items()}
        # A context of its own, made last: only this one knows how to choose another.
        self.default = options.context(_one_of_each_kind(defaults), insist=insist)
        self.default.set_tlsext_servername_callback(self._choose)

    def _choose(self, session: SSL.Connection) -> None:
        context = self.for_name(session.get_servername())
        if context is not None:
            session.set_context(context)

    def for_name(self, server_name: bytes | None) -> SSL.Context | None:
        """The context for what a client calls us, None when the default must do (RFC 6066 section 3)."""
        name = (server_name or b"").decode("latin-1").lower().rstrip(".")
        return self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])


def _by_name(pairs: Iterable[KeyPair]) -> dict[str, list[KeyPair]]:
    named: dict[str, list[KeyPair]] = {}
    for pair in pairs:
        for name in pair.names:
            named.setdefault(name, []).append(pair)
    return {name: _one_of_each_kind(found) for name, found in named.items()}


def _one_of_each_kind(pairs: Iterable[KeyPair]) -> list[KeyPair]:
    """OpenSSL holds one certificate for each kind of key and takes what the client understands: the one that lasts longest."""
    best: dict[str, KeyPair] = {}
    for pair in pairs:
        if pair.kind not in best or pair.expires > best[pair.kind].expires:
            best[pair.kind] = pair
    return list(best.values())


class Options:
    """What tls.ini says, ready to be put into contexts. ca: path of a PEM file or ""; dh: DH parameters in PEM, or None."""

    __slots__ = ("_ca", "_dh", "_settings")

    def __init__(self, settings: TlsSettings, ca: str, dh: bytes | None) -> None:
        self._settings = settings
        self._ca = ca
        self._dh = dh

    def context(self, pairs: Iterable[KeyPair], *, insist: bool = False) -> SSL.Context:
        """A server's context with these certificates. Raises TlsSettingsError."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._set_protocol(context)
        for pair in pairs:
            self._add_pair(context, pair)
        if insist or self._settings.request_cert:
            self._ask_for_certificate(context, insist)
        # A session may be resumed only where the same was asked of the client when it began.
        context.set_session_id(b"haraka, verified" if insist else b"haraka")
        return context

    def _set_protocol(self, context: SSL.Context) -> None:
        settings = self._settings
        context.set_min_proto_version(VERSIONS[settings.min_version])
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        if settings.honor_cipher_order:
            context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 34 KB less for each idle session
        ciphers = settings.ciphers or "DEFAULT"
        if settings.min_version in _OLD_VERSIONS and "@SECLEVEL" not in ciphers:
            ciphers += ":@SECLEVEL=0"  # OpenSSL 3 does no TLS before 1.2 at any other level
        self._try(f"ciphers={settings.ciphers}", context.set_cipher_list, ciphers.encode())
        if self._dh is not None:
            with _file_of(self._dh) as path:
                self._try(f"dhparam={settings.dhparam}", context.load_tmp_dh, path)

    def _add_pair(self, context: SSL.Context, pair: KeyPair) -> None:
        # The key goes from memory to memory. Each kind of key needs the chain of its own, which only a file can give.
        chain = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in pair.chain)
        with _file_of(chain) as path:
            self._try(pair.file, context.use_certificate_chain_file, path)
        self._try(pair.file, context.use_privatekey, pair.key)

    def _ask_for_certificate(self, context: SSL.Context, insist: bool) -> None:
        if self._ca:
            self._try(f"ca={self._settings.ca}", context.load_verify_locations, self._ca)
        else:
            trust_the_system(context)
        must = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if insist else 0
        context.set_verify(SSL.VERIFY_PEER | must, _insist if insist else _note)

    def _try(self, what: str, call: Callable[[Any], object], value: object) -> None:
        try:
            call(value)
        except (SSL.Error, crypto.Error, TypeError, ValueError) as error:
            raise TlsSettingsError(f"{what}: {_reason(error)}") from None


@contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """The path of a file with these bytes, for as long as OpenSSL needs it."""
    with NamedTemporaryFile(prefix="haraka-") as file:
        file.write(data)
        file.flush()
        yield file.name


def trust_the_system(context: SSL.Context) -> None:
    """Use the system's authorities, from the directory where they are read one by one as they are needed if there is one."""
    directory = ssl.get_default_verify_paths().capath
    if directory and any(name.endswith(".0") for name in os.listdir(directory)):
        context.load_verify_locations(None, directory)
    else:
        context.set_default_verify_paths()


def _note(session: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    """Called for each certificate of the client's chain: remember the first fault, and go on."""
    verdict: Verdict = session.get_app_data()
    verdict.asked = True
    if not ok and not verdict.error:
        verdict.error = error
    return True


def _insist(session: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    _note(session, certificate, error, depth, ok)
    return bool(ok)


def _reason(error: Exception) -> str:
    if isinstance(error, SSL.Error | crypto.Error) and error.args and isinstance(error.args[0], list):
        return ", ".join(reason for _, _, reason in error.args[0] if reason) or "not usable"
    return str(error) or type(error).__name__
