"""What OpenSSL says of a certificate, in the words of a report."""

from __future__ import annotations

from OpenSSL import SSL

from mta.net.openssl_layer import words
from mta.net.tls_security import TlsFault

_CODES = SSL.X509VerificationCodes
_EXPIRED = _CODES.ERR_CERT_HAS_EXPIRED
# RFC 8460 4.3.1: the chain leads to nobody whom we trust.
_NOT_TRUSTED = frozenset(
    {
        _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT,
        _CODES.ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
        _CODES.ERR_SELF_SIGNED_CERT_IN_CHAIN,
        _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        _CODES.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
        _CODES.ERR_CERT_UNTRUSTED,
        _CODES.ERR_INVALID_CA,
        _CODES.ERR_INVALID_PURPOSE,
    }
)


def fault_of(code: int, reason: str = "") -> TlsFault:
    """The fault that an error code of OpenSSL's chain verification stands for."""
    kind = (
        "certificate-expired"
        if code == _EXPIRED
        else "certificate-not-trusted"
        if code in _NOT_TRUSTED
        else "validation-failure"
    )
    return TlsFault(kind, reason or words(code))
