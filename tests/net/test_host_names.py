"""Which names and patterns are a host's."""

from __future__ import annotations

import pytest
import trustme
from cryptography import x509

from mta.net.certificate_names import names
from mta.net.host_names import matches


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("mx.a.test", "mx.a.test", True),
        ("MX.A.test.", "mx.a.TEST", True),
        ("mx.a.test", "mx.a.test.", True),
        ("a.test", "mx.a.test", False),
        ("*.a.test", "mx.a.test", True),
        ("*.a.test", "a.test", False),
        ("*.a.test", ".a.test", False),
        ("*.a.test", "x.mx.a.test", False),  # RFC 8461 4.1: one label
        ("*.*.test", "x.a.test", False),
        ("m*.a.test", "mx.a.test", False),
        ("*", "test", False),
        ("*.", "test.", False),
        ("", "", False),
    ],
)
def test_patterns(pattern: str, host: str, expected: bool) -> None:
    assert matches(pattern, host) is expected


@pytest.mark.parametrize(
    ("subjects", "host", "expected"),
    [
        (("mx.a.test", "b.test"), "b.test", True),
        (("mx.a.test",), "b.test", False),
        (("127.0.0.1", "::1"), "127.0.0.1", True),
        (("127.0.0.1", "::1"), "::1", True),
        (("127.0.0.1",), "127.0.0.2", False),
        (("mx.a.test",), "127.0.0.1", False),
    ],
)
def test_certificates(subjects: tuple[str, ...], host: str, expected: bool) -> None:
    pem = trustme.CA().issue_cert(*subjects).cert_chain_pems[0].bytes()
    assert names(x509.load_pem_x509_certificate(pem), ["never.test", host]) is expected
