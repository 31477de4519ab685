"""OpenSSL contexts made of certificates and tls.ini: which certificate a client gets depends on the name it asks for."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from mta.record import record

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


class TlsSettingsError(ValueError):
    """Something in tls.ini, or a file that it names, that OpenSSL does not take; the text says what."""


class Demand(Enum):
    """Who must present a certificate that can be verified: everybody, nobody, or whom rejectUnauthorized means."""

    AS_SET = "as set"
    ALWAYS = "always"
    NEVER = "never"


@record
class Site:
    """What tls.ini says about one server name: a section's settings, and its certificates if it names some."""

    options: Options
    pairs: tuple[KeyPair, ...] = ()


@record
class Choice:
    """What a client gets. scope: the section whose settings hold, "" for [main]; what is verified there counts there only.

    insists: it must have a certificate that can be verified. oldest: the oldest version of TLS, as OpenSSL counts.
    """

    context: SSL.Context
    scope: str
    asks: bool
    insists: bool
    oldest: int
    our_order: bool

    def apply(self, session: SSL.Connection, instead_of: Choice) -> None:
        """Go on with this. The context takes certificates, ciphers and authorities along, and nothing else."""
        session.set_context(self.context)
        if (self.asks, self.insists) != (instead_of.asks, instead_of.insists):
            session.set_verify(*(_verifying(self.insists) if self.asks else (SSL.VERIFY_NONE, None)))
        if self.our_order:
            session.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)


class Contexts:
    """The contexts for one set of certificates; never changed, new certificates make a new one.

    pairs: all certificates; defaults: those for clients that name no host, or one that is unknown; sites: the sections of
    tls.ini that are for one server name. Raises TlsSettingsError.
    """

    __slots__ = ("_by_name", "default", "entry")

    def __init__(
        self,
        options: Options,
        pairs: Sequence[KeyPair],
        defaults: Sequence[KeyPair],
        sites: Mapping[str, Site],
        demand: Demand,
    ) -> None:
        made: dict[tuple[str, tuple[int, ...]], Choice] = {}
        named = _by_name(pairs)
        everybody = _one_of_each_kind(defaults)

        def choice_for(name: str, chosen: Sequence[KeyPair]) -> Choice:
            scope = _fitting(sites, name) or ""
            identity = scope, tuple(sorted(map(id, chosen)))
            if identity not in made:
                made[identity] = (sites[scope].options if scope else options).choice(chosen, scope, demand)
            return made[identity]

        self._by_name = {name: choice_for(name, chosen) for name, chosen in named.items()}
        for name, site in sites.items():
            chosen = _one_of_each_kind(site.pairs) or named.get(_fitting(named, name) or "") or everybody
            self._by_name[name] = choice_for(name, chosen)
        self.default = choice_for("", everybody)
        # Where every handshake begins: the version is agreed on before the name is known.
        self.entry = options.entry(everybody, [site.options for site in sites.values()], demand)
        self.entry.set_tlsext_servername_callback(self._choose)

    def _choose(self, session: SSL.Connection) -> None:
        choice = self.for_name(session.get_servername())
        session.get_app_data().choice = choice
        choice.apply(session, self.default)

    def for_name(self, server_name: bytes | None) -> Choice:
        """What is for a client that calls us so (RFC 6066 section 3), the default when it says nothing that we know."""
        name = (server_name or b"").decode("latin-1").lower().rstrip(".")
        fitting = _fitting(self._by_name, name)
        return self.default if fitting is None else self._by_name[fitting]


def _fitting(table: Container[str], name: str) -> str | None:
    """A server name in a table, or the wildcard that is for it; None when the table has neither."""
    wildcard = "*." + name.partition(".")[2]
    return name if name in table else wildcard if wildcard in table else None


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
    """What tls.ini says, ready to be put into contexts.

    ca: path of a PEM file with the authorities that are believed, "" for the system's, None for nobody; dh: DH parameters in
    PEM, or None.
    """

    __slots__ = ("_ca", "_dh", "_settings")

    def __init__(self, settings: TlsSettings, ca: str | None, dh: bytes | None) -> None:
        self._settings = settings
        self._ca = ca
        self._dh = dh

    @property
    def believes_nobody(self) -> bool:
        """True when no certificate of a client can be verified, because the authorities can't be read."""
        return self._ca is None

    @property
    def oldest(self) -> int:
        """The oldest version of TLS that is spoken, as OpenSSL counts."""
        return VERSIONS[self._settings.min_version]

    def choice(self, pairs: Sequence[KeyPair], scope: str, demand: Demand) -> Choice:
        """These certificates with these settings, for the clients of `scope`. Raises TlsSettingsError."""
        settings = self._settings
        insists = self._insists(demand)
        asks = insists or settings.request_cert
        context = self.context(pairs, demand=demand)
        return Choice(context, scope, asks, insists, self.oldest, settings.honor_cipher_order)

    def entry(self, pairs: Sequence[KeyPair], others: Iterable[Options], demand: Demand) -> SSL.Context:
        """A context that speaks all versions which these options or one of the others allow."""
        oldest = min([self.oldest, *(other.oldest for other in others)])
        return self.context(pairs, demand=demand, oldest=oldest)

    def context(
        self, pairs: Iterable[KeyPair], *, demand: Demand = Demand.AS_SET, oldest: int | None = None
    ) -> SSL.Context:
        """A server's context with these certificates. Raises TlsSettingsError."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._set_protocol(context, self.oldest if oldest is None else oldest)
        for pair in pairs:
            self._add_pair(context, pair)
        insists = self._insists(demand)
        if insists or self._settings.request_cert:
            self._ask_for_certificate(context, insists)
        # A session may be resumed only where the same was asked of the client when it began.
        context.set_session_id(b"haraka, verified" if demand is Demand.ALWAYS else b"haraka")
        return context

    def _insists(self, demand: Demand) -> bool:
        return demand is Demand.ALWAYS or (demand is Demand.AS_SET and self._settings.reject_unauthorized)

    def _set_protocol(self, context: SSL.Context, oldest: int) -> None:
        settings = self._settings
        context.set_min_proto_version(oldest)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 34 KB less for each idle session
        ciphers = settings.ciphers or "DEFAULT"
        if oldest < SSL.TLS1_2_VERSION and "@SECLEVEL" not in ciphers:
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
        elif self._ca is not None:
            trust_the_system(context)
        context.set_verify(*_verifying(insist))

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


def _verifying(insist: bool) -> tuple[int, Callable[[SSL.Connection, crypto.X509, int, int, int], bool]]:
    must = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if insist else 0
    return SSL.VERIFY_PEER | must, _insist if insist else _note


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
