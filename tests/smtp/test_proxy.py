"""PROXY headers, versions 1 and 2: what is read, what is refused, and when."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.smtp.proxy import (
    SIGNATURE,
    TLV_CRC32C,
    TLV_SSL,
    V2_MAX,
    ProxyError,
    ProxyHeader,
    crc32c,
    header_length,
    parse,
    parse_tlvs,
    parse_v1,
    parse_v2,
)

V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.2") + (40001).to_bytes(2) + (25).to_bytes(2)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    + (65535).to_bytes(2)
    + (0).to_bytes(2)
)
MAPPED = (
    socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.1") * 2 + (40001).to_bytes(2) + (25).to_bytes(2)
)  # fmt: skip
UNIX = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")


def v2(command: int = 0x21, family: int = 0x11, block: bytes = V4, length: int | None = None) -> bytes:
    size = len(block) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2) + block


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2) + value


def with_crc(before: bytes = b"", after: bytes = b"", block: bytes = V4, family: int = 0x11) -> bytes:
    """A header whose TLVs have a right checksum among them."""
    blank = v2(family=family, block=block + before + tlv(TLV_CRC32C, bytes(4)) + after)
    right = tlv(TLV_CRC32C, crc32c(blank).to_bytes(4))
    return v2(family=family, block=block + before + right + after)


# ---- version 1


@pytest.mark.parametrize(
    ("line", "header"),
    [
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.2 40001 25",
            ProxyHeader(1, "TCP4", ("192.0.2.1", 40001), ("198.51.100.2", 25)),
        ),
        (
            b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0",
            ProxyHeader(1, "TCP4", ("255.255.255.255", 65535), ("0.0.0.0", 0)),
        ),
        (
            b"PROXY TCP6 2001:DB8:0:0::1 ::1 1 25",
            ProxyHeader(1, "TCP6", ("2001:db8::1", 1), ("::1", 25)),
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 25",
            ProxyHeader(1, "TCP6", ("192.0.2.1", 1), ("198.51.100.2", 25)),
        ),
        (b"PROXY UNKNOWN", ProxyHeader(1, "UNKNOWN")),
        (b"PROXY UNKNOWN ffff::1 and \xff whatever", ProxyHeader(1, "UNKNOWN")),
    ],
)
def test_version_1(line: bytes, header: ProxyHeader) -> None:
    assert parse_v1(line) == header
    assert parse(line + b"\r\n") == header
    assert header_length(line + b"\r\nEHLO x\r\n") == len(line) + 2


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY",
        b"PROXY ",
        b"PROXY UNKNOWNS",
        b"PROXY TCP 192.0.2.1 198.51.100.2 40001 25",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 40001 25",
        b"PROXY tcp4 192.0.2.1 198.51.100.2 40001 25",
        b"proxy TCP4 192.0.2.1 198.51.100.2 40001 25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40001",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40001 25 ",
        b"PROXY TCP4  192.0.2.1 198.51.100.2 40001 25",
        b"PROXY\tTCP4\t192.0.2.1\t198.51.100.2\t40001\t25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40001 65536",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 040001 25",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 4e4 25",
        "PROXY TCP4 192.0.2.1 198.51.100.2 ²5 25".encode("latin-1"),
        b"PROXY TCP4 192.0.2.256 198.51.100.2 40001 25",
        b"PROXY TCP4 192.0.2.01 198.51.100.2 40001 25",
        b"PROXY TCP4 192.0.2 198.51.100.2 40001 25",
        b"PROXY TCP4 3221225985 198.51.100.2 40001 25",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 40001 25",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 40001 25",
        b"PROXY TCP6 fe80::1%eth0 2001:db8::2 40001 25",
        b"PROXY TCP6 [2001:db8::1] 2001:db8::2 40001 25",
        b"PROXY TCP6 2001:db8::1::1 2001:db8::2 40001 25",
        b"PROXY TCP4 client.example 198.51.100.2 40001 25",
        b"PROXY TCP4 192.0.2.1\r 198.51.100.2 40001 25",
    ],
)
def test_version_1_refused(line: bytes) -> None:
    with pytest.raises(ProxyError):
        parse_v1(line)


def test_a_line_ends_with_crlf_and_within_107_bytes() -> None:
    longest = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535".ljust(105, b"x")
    assert header_length(longest + b"\r\n") == 107
    assert header_length(longest + b"\r") == 0
    for endless in (longest + b"xx", longest + b"xx\r\n"):
        with pytest.raises(ProxyError, match="line end"):
            header_length(endless)
    bare = b"PROXY UNKNOWN\n"
    assert header_length(bare) == len(bare)
    with pytest.raises(ProxyError, match="CRLF"):
        parse(bare)


# ---- version 2


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (v2(), ProxyHeader(2, "TCP4", ("192.0.2.1", 40001), ("198.51.100.2", 25))),
        (v2(family=0x21, block=V6), ProxyHeader(2, "TCP6", ("2001:db8::1", 65535), ("2001:db8::2", 0))),
        (v2(family=0x21, block=MAPPED), ProxyHeader(2, "TCP6", ("192.0.2.1", 40001), ("192.0.2.1", 25))),
        (v2(family=0x31, block=UNIX), ProxyHeader(2, "UNIX")),
        (v2(family=0x00, block=b""), ProxyHeader(2, "UNSPEC")),
        (v2(family=0x00, block=b"not looked at"), ProxyHeader(2, "UNSPEC")),
        (v2(command=0x20, family=0x00, block=b""), ProxyHeader(2, "LOCAL")),
        (v2(command=0x20, family=0x11), ProxyHeader(2, "LOCAL")),
        (v2(command=0x20, family=0xFF, block=b"\1\2\3"), ProxyHeader(2, "LOCAL")),
        (
            v2(block=V4 + tlv(0x04, b"") + tlv(0xE0, b"mine")),
            ProxyHeader(2, "TCP4", ("192.0.2.1", 40001), ("198.51.100.2", 25), ((4, b""), (0xE0, b"mine"))),
        ),
    ],
)
def test_version_2(data: bytes, header: ProxyHeader) -> None:
    assert header_length(data + b"EHLO x\r\n") == len(data)
    assert parse(data) == parse_v2(data) == header


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (v2(command=0x11), "version and command"),
        (v2(command=0x31), "version and command"),
        (v2(command=0x22), "version and command"),
        (v2(family=0x12), "family"),
        (v2(family=0x22, block=V6), "family"),
        (v2(family=0x32, block=UNIX), "family"),
        (v2(family=0x10), "family"),
        (v2(family=0x41), "family"),
        (v2(block=V4[:-1]), "too short"),
        (v2(family=0x21, block=V4), "too short"),
        (v2(family=0x31, block=UNIX[:-1]), "too short"),
        (v2(block=b""), "too short"),
        (v2(length=11), "length"),
        (v2(length=13), "length"),
        (SIGNATURE, "length"),
        (v2(block=V4 + b"\4"), "TLV"),
        (v2(block=V4 + b"\4\0"), "TLV"),
        (v2(block=V4 + b"\4\0\1"), "TLV"),
        (v2(block=V4 + tlv(4, b"") + b"\4\xff\xff" + b"x" * 100), "TLV"),
        (v2(block=V4 + tlv(TLV_SSL, b"\1\0\0\0")), "SSL"),
        (v2(block=V4 + tlv(TLV_SSL, b"\1\0\0\0\0\x21\0\7TLSv1.")), "TLV"),
        (v2(block=V4 + tlv(TLV_CRC32C, bytes(4))), "checksum is wrong"),
        (v2(block=V4 + tlv(TLV_CRC32C, bytes(3))), "four bytes"),
        (v2(block=V4 + tlv(TLV_CRC32C, b"")), "four bytes"),
        (with_crc(after=tlv(TLV_CRC32C, bytes(4))), "more than one"),
        (v2(family=0x31, block=UNIX + tlv(TLV_CRC32C, bytes(4))), "checksum is wrong"),
    ],
)
def test_version_2_refused(data: bytes, why: str) -> None:
    with pytest.raises(ProxyError, match=why):
        parse_v2(data)


def test_the_length_is_limited_before_the_bytes_come() -> None:
    assert header_length(v2(length=V2_MAX - 16, block=b"")) == 0
    with pytest.raises(ProxyError, match="at most"):
        header_length(v2(length=V2_MAX - 15, block=b""))


def test_tls_details_are_kept() -> None:
    value = b"\7\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"client.example")
    [(kind, found)] = parse_v2(v2(block=V4 + tlv(TLV_SSL, value))).tlvs
    assert kind == TLV_SSL
    assert parse_tlvs(found[5:]) == ((0x21, b"TLSv1.3"), (0x22, b"client.example"))


# ---- the checksum


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # RFC 3720 appendix B.4
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_crc32c(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


@pytest.mark.parametrize(
    ("header", "addresses"),
    [
        (with_crc(), 12),
        (with_crc(before=tlv(0x05, b"unique"), after=tlv(0x02, b"mail.example")), 12),
        (with_crc(before=tlv(TLV_SSL, b"\0\0\0\0\1" + tlv(TLV_CRC32C, b"abcd"))), 12),
        (with_crc(block=V6, family=0x21), 36),
    ],
)
def test_every_byte_counts_for_the_checksum(header: bytes, addresses: int) -> None:
    assert parse_v2(header).source
    for position in (*range(16, 16 + addresses), len(header) - 1):
        wrong = header[:position] + bytes([header[position] ^ 0x10]) + header[position + 1 :]
        with pytest.raises(ProxyError, match="checksum is wrong"):
            parse_v2(wrong)


# ---- any bytes


WHOLE = [
    b"PROXY TCP4 192.0.2.1 198.51.100.2 40001 25\r\n",
    b"PROXY UNKNOWN\r\n",
    v2(),
    with_crc(block=V6, family=0x21),
    v2(command=0x20, family=0, block=b""),
]


@pytest.mark.parametrize("header", WHOLE)
def test_every_part_of_a_header_asks_for_more(header: bytes) -> None:
    for end in range(len(header)):
        assert header_length(header[:end]) == 0
    assert header_length(header) == len(header)


@pytest.mark.parametrize(
    "data",
    [b"E", b"EHLO x\r\n", b"PROXYTCP4", b"proxy ", b" PROXY", b"\n", b"\r\n\r\n\0\r\nQUIT\r", b"\x16\3\1"],
)
def test_what_is_no_header_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(ProxyError):
        header_length(data)


@given(st.sampled_from([*WHOLE, b""]), st.integers(0, 80), st.binary(max_size=60), st.integers(0, 30))
def test_any_bytes_are_a_header_or_a_proxy_error(header: bytes, at: int, junk: bytes, cut: int) -> None:
    data = header[:at] + junk + header[at + cut :]
    try:
        length = header_length(data)
        assert 0 <= length <= len(data)
        if length:
            found = parse(data[:length])
            assert (found.source is None) == (found.family not in ("TCP4", "TCP6"))
    except ProxyError:
        pass
