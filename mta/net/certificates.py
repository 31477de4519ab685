"""Certificates and private keys as operators leave them: PEM files of any name, told apart by what is in them; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from mta.record import record

PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
USABLE_KEYS = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)  # RFC 7468 section 3
_LONGEST_CHAIN = 10


class CertificateError(ValueError):
    """A block of a PEM file that cannot be used; the text says why."""


@record
class PemFile:
    """One file: the keys and certificates in it, in their order, and what is wrong with the rest."""

    name: str
    keys: tuple[PrivateKey, ...]
    certificates: tuple[x509.Certificate, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class KeyPair:
    """A certificate, the authorities above it as far as they are known, and its key.

    names: the host names that it is for in lower case, `*.example.com` for every name one level below.
    file: where the certificate lies. kind: the algorithm of the key; a server may have one pair of each kind.
    """

    names: frozenset[str]
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey
    file: str

    @property
    def kind(self) -> str:
        """What OpenSSL tells keys apart by: the algorithm."""
        return type(self.key).__name__

    @property
    def expires(self) -> datetime:
        """When the certificate ends."""
        return self.chain[0].not_valid_after_utc

    def expired(self, now: datetime | None = None) -> bool:
        """True when the certificate is not valid any more."""
        return self.expires < (now or datetime.now(UTC))


def read_pem(name: str, data: bytes) -> PemFile:
    """Take a file apart. Blocks other than keys and certificates, such as DH parameters, are passed over."""
    keys: list[PrivateKey] = []
    certificates: list[x509.Certificate] = []
    problems: list[str] = []
    for block in _BLOCK.finditer(data):
        try:
            if block[1].endswith(b"PRIVATE KEY"):
                keys.append(_key(block[0]))
            elif block[1].endswith(b"CERTIFICATE"):
                certificates.append(_certificate(block[0]))
        except CertificateError as error:
            problems.append(str(error))
    return PemFile(name, tuple(keys), tuple(certificates), tuple(problems))


def _key(block: bytes) -> PrivateKey:
    try:
        key = load_pem_private_key(block, password=None)
    except TypeError:
        raise CertificateError("the private key is encrypted; a server cannot ask for its password") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"the private key is not usable: {_first_line(error)}") from None
    if not isinstance(key, USABLE_KEYS):
        raise CertificateError("the private key is of a kind that TLS does not use")
    return key


def _certificate(block: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block)
        certificate.public_key()
        names_in(certificate)
        return certificate
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"the certificate is not usable: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def names_in(certificate: x509.Certificate) -> frozenset[str]:
    """The common name, and the DNS names of the alternative names (RFC 6125 6.4), in lower case."""
    names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += alternative.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        pass
    return frozenset(name.lower().rstrip(".") for name in names)


def pair_up(files: Sequence[PemFile]) -> tuple[list[KeyPair], list[tuple[str, str]]]:
    """Find the certificate of every key, wherever both lie; also (file, problem) for what is left over or broken."""
    keys = {_public(key.public_key()): key for file in files for key in file.keys}
    everything = [certificate for file in files for certificate in file.certificates]
    pairs, used = [], set()
    for file in files:
        for certificate in file.certificates:
            public = _public(certificate.public_key())
            if public in keys:
                used.add(public)
                names = names_in(certificate) | _name_of(file.name)
                chain = _chain(certificate, [*file.certificates, *everything])
                pairs.append(KeyPair(names, chain, keys[public], file.name))
    return pairs, [*_broken(files), *_lonely(files, used)]


def _broken(files: Iterable[PemFile]) -> list[tuple[str, str]]:
    return [(file.name, problem) for file in files for problem in file.problems]


def _lonely(files: Iterable[PemFile], used: set[bytes]) -> list[tuple[str, str]]:
    return [
        (file.name, "there is no certificate for the private key")
        for file in files
        for key in file.keys
        if _public(key.public_key()) not in used
    ]


def _name_of(file: str) -> frozenset[str]:
    """What the name of a file adds: `_.example.com.pem` is for `*.example.com`, `_.pem` for everybody."""
    stem = PurePath(file).name.lower()
    for ending in (".pem", ".crt", ".cer", ".key"):
        stem = stem.removesuffix(ending)
    return frozenset({"*" + stem[1:]}) if stem.startswith("_") else frozenset()


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _chain(leaf: x509.Certificate, others: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """The certificate and its issuers, without the root: who trusts that one has it (RFC 8446 4.4.2)."""
    pool = {certificate.subject: certificate for certificate in reversed([*others])}
    chain = [leaf]
    while len(chain) < _LONGEST_CHAIN:
        issuer = pool.get(chain[-1].issuer)
        if (
            issuer is None
            or issuer in chain
            or issuer.subject == issuer.issuer
            or not _issued(chain[-1], issuer)
        ):
            break
        chain.append(issuer)
    return tuple(chain)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
