"""The certificates that TLSA records stand for: RFC 6698 and RFC 7671 as far as RFC 7672 lets SMTP use them; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from mta.net.certificate_names import names
from mta.net.tls_faults import fault_of
from mta.net.tls_security import TlsFault
from mta.net.tlsa import DANE_EE, DANE_TA, EXACT, FULL_CERTIFICATE, SHA256, Tlsa

_NO_MATCH = TlsFault("validation-failure", "the certificate matches none of the TLSA records")


def authenticate(
    chain: Sequence[x509.Certificate], records: Iterable[Tlsa], hosts: Sequence[str]
) -> str | TlsFault:
    """What proved the peer, "dane-ee" or "dane-ta", else why nothing did.

    chain: as the peer sent it, its own certificate first; records: usable ones; hosts: names that a certificate below a
    trust anchor may have (RFC 7672 3.2.2); neither names nor dates of one that is itself in the DNS matter (3.1.1).
    """
    if not chain:
        return TlsFault("validation-failure", "there is no certificate")
    records = list(records)
    if any(_stands_for(record, chain[0]) for record in records if record.usage == DANE_EE):
        return "dane-ee"
    anchors = _anchors(chain, [record for record in records if record.usage == DANE_TA])
    if not anchors:
        return _NO_MATCH
    return _below(anchors, chain, hosts) or "dane-ta"


def _stands_for(record: Tlsa, certificate: x509.Certificate) -> bool:
    if record.selector == FULL_CERTIFICATE:
        data = certificate.public_bytes(Encoding.DER)
    else:
        try:
            data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (ValueError, UnsupportedAlgorithm):
            return False
    if record.matching == EXACT:
        return data == record.data
    digest = hashlib.sha256 if record.matching == SHA256 else hashlib.sha512
    return digest(data).digest() == record.data


def _anchors(chain: Sequence[x509.Certificate], records: Sequence[Tlsa]) -> list[x509.Certificate]:
    """The trust anchors: issuers that the peer sent along and a record stands for, and those that a record holds whole."""
    found = [issuer for issuer in chain[1:] if any(_stands_for(record, issuer) for record in records)]
    for record in records:
        if record.selector == FULL_CERTIFICATE and record.matching == EXACT:
            try:
                found.append(x509.load_der_x509_certificate(record.data))
            except (ValueError, UnsupportedAlgorithm):
                continue
    return [anchor for anchor in found if anchor != chain[0]]  # a trust anchor is an issuer


def _below(
    anchors: Iterable[x509.Certificate], chain: Sequence[x509.Certificate], hosts: Sequence[str]
) -> TlsFault | None:
    """What is wrong with a chain that must end at one of the anchors; None when nothing is."""
    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # an anchor need not be a root
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    leaf, *others = (crypto.X509.from_cryptography(certificate) for certificate in chain)
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        return fault_of(int(error.errors[0]), str(error.errors[2]))
    if not _is_for_servers(chain[0]):
        return TlsFault("certificate-not-trusted", "the certificate is not for servers")
    if not names(chain[0], hosts, common_name=True):
        return TlsFault("certificate-host-mismatch", f"the certificate does not name {' or '.join(hosts)}")
    return None


def _is_for_servers(certificate: x509.Certificate) -> bool:
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return (
        ExtendedKeyUsageOID.SERVER_AUTH in purposes or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes
    )
