"""TLSA records against certificates: RFC 7672 section 3, RFC 7671."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mta.net.dane import authenticate
from mta.net.tls_security import TlsFault
from mta.net.tlsa import Tlsa, usable

MX, DOMAIN = "mx.there.test", "there.test"
HOSTS = (MX, DOMAIN)
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def loaded(blob: trustme.Blob) -> x509.Certificate:
    return x509.load_pem_x509_certificate(blob.bytes())


ROOT = trustme.CA()
CHILD = ROOT.create_child_ca()
OTHER = trustme.CA()


def chain_of(leaf: trustme.LeafCert) -> tuple[x509.Certificate, ...]:
    return (*map(loaded, leaf.cert_chain_pems), loaded(ROOT.cert_pem))


CHAIN = chain_of(CHILD.issue_cert(MX))
LEAF, INTERMEDIATE, ANCHOR = CHAIN
EXPIRED = chain_of(CHILD.issue_cert(MX, not_before=PAST - timedelta(days=9), not_after=PAST))
ELSEWHERE = chain_of(CHILD.issue_cert("other.test"))
BY_DOMAIN = chain_of(CHILD.issue_cert(DOMAIN))
WILD = chain_of(CHILD.issue_cert("*.there.test"))
TOO_WILD = chain_of(CHILD.issue_cert("*.mx.there.test"))
STRANGER = loaded(OTHER.cert_pem)


def record(usage: int, selector: int, matching: int, certificate: x509.Certificate) -> Tlsa:
    data = (
        certificate.public_bytes(Encoding.DER)
        if selector == 0
        else certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    digest = {
        0: bytes,
        1: lambda data: hashlib.sha256(data).digest(),
        2: lambda data: hashlib.sha512(data).digest(),
    }
    return Tlsa(usage, selector, matching, digest[matching](data))


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize(
    ("usage", "chain", "certificate", "proved"),
    [
        (3, CHAIN, LEAF, "dane-ee"),
        (3, EXPIRED, EXPIRED[0], "dane-ee"),  # RFC 7672 3.1.1: neither dates
        (3, ELSEWHERE, ELSEWHERE[0], "dane-ee"),  # nor names
        (3, CHAIN[:1], LEAF, "dane-ee"),
        (3, CHAIN, INTERMEDIATE, "validation-failure"),  # an end entity is the first certificate
        (3, CHAIN, STRANGER, "validation-failure"),
        (2, CHAIN, INTERMEDIATE, "dane-ta"),
        (2, CHAIN, ANCHOR, "dane-ta"),
        (2, CHAIN, LEAF, "validation-failure"),  # and no trust anchor
        (2, BY_DOMAIN, ANCHOR, "dane-ta"),  # RFC 7672 3.2.2
        (2, WILD, ANCHOR, "dane-ta"),
        (2, TOO_WILD, ANCHOR, "certificate-host-mismatch"),
        (2, ELSEWHERE, ANCHOR, "certificate-host-mismatch"),
        (2, EXPIRED, ANCHOR, "certificate-expired"),
        # A chain that only contains the anchor, and does not lead to it.
        (2, (LEAF, STRANGER), STRANGER, "certificate-not-trusted"),
    ],
)
def test_what_a_record_proves(
    usage: int,
    selector: int,
    matching: int,
    chain: Sequence[x509.Certificate],
    certificate: x509.Certificate,
    proved: str,
) -> None:
    assert kind_of(chain, record(usage, selector, matching, certificate)) == proved


def kind_of(chain: Sequence[x509.Certificate], *records: Tlsa) -> str:
    outcome = authenticate(chain, usable(records), HOSTS)
    return outcome.kind if isinstance(outcome, TlsFault) else outcome


def test_an_anchor_that_was_not_sent_may_be_in_the_dns() -> None:
    assert kind_of(CHAIN[:2], record(2, 0, 0, ANCHOR)) == "dane-ta"
    assert kind_of(CHAIN[:2], record(2, 0, 1, ANCHOR)) == "validation-failure"


def test_one_record_of_several_is_enough() -> None:
    assert kind_of(CHAIN, record(3, 1, 1, STRANGER), record(3, 1, 1, LEAF)) == "dane-ee"
    assert kind_of(ELSEWHERE, record(2, 1, 1, ANCHOR), record(3, 1, 1, ELSEWHERE[0])) == "dane-ee"


def test_no_certificate_proves_nothing() -> None:
    assert kind_of((), record(3, 1, 1, LEAF)) == "validation-failure"


def test_a_certificate_for_clients_is_none_for_servers() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, MX)])
    issuer_key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anchor")])
    now = datetime.now(UTC)

    def signed(
        subject: x509.Name, public: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension in extensions:
            builder = builder.add_extension(extension, isinstance(extension, x509.BasicConstraints))
        return builder.sign(issuer_key, hashes.SHA256())

    anchor = signed(issuer, issuer_key.public_key(), x509.BasicConstraints(True, None))
    for purpose, proved in (
        (ExtendedKeyUsageOID.CLIENT_AUTH, "certificate-not-trusted"),
        (ExtendedKeyUsageOID.SERVER_AUTH, "dane-ta"),
    ):
        # Only a common name: RFC 7672 3.2.3 lets it count where there is no other.
        leaf = signed(name, key.public_key(), x509.ExtendedKeyUsage([purpose]))
        assert kind_of((leaf, anchor), record(2, 1, 1, anchor)) == proved
    impostor = signed(name, key.public_key())
    no_authority = signed(issuer, issuer_key.public_key(), x509.BasicConstraints(False, None))
    assert kind_of((impostor, no_authority), record(2, 1, 1, no_authority)) == "certificate-not-trusted"


GOOD = Tlsa(3, 1, 1, b"x" * 32)


@pytest.mark.parametrize(
    "bad",
    [
        Tlsa(0, 1, 1, b"x" * 32),  # RFC 7672 3.1.3
        Tlsa(1, 1, 1, b"x" * 32),
        Tlsa(4, 1, 1, b"x" * 32),
        Tlsa(255, 1, 1, b"x" * 32),
        Tlsa(3, 2, 1, b"x" * 32),
        Tlsa(3, 1, 3, b"x" * 32),
        Tlsa(3, 1, 1, b"x" * 31),
        Tlsa(3, 1, 2, b"x" * 32),
        Tlsa(3, 1, 0, b""),
    ],
)
def test_what_can_not_be_used(bad: Tlsa) -> None:
    """KumoMTA was too permissive here: a record that nothing can match must not count as one that matched."""
    assert usable([bad]) == ()
    assert usable([bad, GOOD]) == (GOOD,)


def test_the_strongest_digest_counts() -> None:
    strong, exact = Tlsa(3, 1, 2, b"x" * 64), Tlsa(3, 1, 0, b"key")
    other = Tlsa(2, 1, 1, b"x" * 32)
    assert usable([GOOD, strong, exact, other]) == (strong, exact, other)
    # RFC 7671 section 9: so the weaker one proves nothing any more.
    assert kind_of(CHAIN, record(3, 1, 1, LEAF), record(3, 1, 2, STRANGER)) == "validation-failure"


def test_as_text() -> None:
    assert str(Tlsa(3, 1, 1, b"\x01\xff")) == "3 1 1 01ff"
