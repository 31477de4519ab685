"""The PROXY protocol, versions 1 and 2: a load balancer tells who its client is before the client is heard.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt; the sections named below are those of that page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from itertools import takewhile
from typing import Final

Tlv = tuple[int, bytes]
Peer = tuple[str, int]

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
V1_MAX: Final = 107  # bytes with CRLF, section 2.1
V2_FIXED: Final = 16  # signature, version and command, family, length
V2_MAX: Final = 16_384  # what haproxy itself can read: its default buffer
TLV_CRC32C, TLV_SSL = 0x03, 0x20

_V1 = b"PROXY "
_LOCAL, _PROXY = 0x20, 0x21
# port = "0" / non-zero digit *4DIGIT, section 2.1: "Heading zeroes are not permitted"
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
# family and transport, section 2.2: what the addresses are called, and how many bytes they take
_FAMILIES: Final = {0x00: ("UNSPEC", 0), 0x11: ("TCP4", 12), 0x21: ("TCP6", 36), 0x31: ("UNIX", 216)}
_SSL_FIXED = 5  # client flags and result of the verification, before its own TLVs


class ProxyError(ValueError):
    """These bytes are not a PROXY header; the text says why."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What the load balancer said.

    family: TCP4, TCP6, UNIX, UNKNOWN (version 1), UNSPEC or LOCAL (version 2). source and destination: address and port of
    the client and of what it connected to; None unless TCP, and the addresses of the connection itself count.
    tlvs: type and value of what else version 2 carried.
    """

    version: int
    family: str
    source: Peer | None = None
    destination: Peer | None = None
    tlvs: tuple[Tlv, ...] = ()


def header_length(data: bytes) -> int:
    """How many bytes the header at the start of data takes; 0 when more of it has to come first.

    Raises ProxyError as soon as data cannot become a header.
    """
    if data[:6] == _V1[: len(data)]:
        return _v1_length(data)
    if data[:12] == SIGNATURE[: len(data)]:
        return _v2_length(data)
    raise ProxyError("neither version 1 nor version 2")


def _v1_length(data: bytes) -> int:
    end = data.find(b"\n", 0, V1_MAX)
    if end < 0:
        if len(data) >= V1_MAX:
            raise ProxyError(f"no line end within {V1_MAX} bytes")
        return 0
    return end + 1


def _v2_length(data: bytes) -> int:
    if len(data) < V2_FIXED:
        return 0
    length = V2_FIXED + int.from_bytes(data[14:16])
    if length > V2_MAX:
        raise ProxyError(f"{length} bytes, at most {V2_MAX} are read")
    return length if len(data) >= length else 0


def parse(header: bytes) -> ProxyHeader:
    """Read a complete header of either version, of the length that header_length gives. Raises ProxyError."""
    if header.startswith(SIGNATURE):
        return parse_v2(header)
    if not header.endswith(b"\r\n"):
        raise ProxyError("the line does not end with CRLF")
    return parse_v1(header[:-2])


# -- version 1 --------------------------------------------------------------------------------------------------------


def parse_v1(line: bytes) -> ProxyHeader:
    """Read `PROXY TCP4 source destination port port`, without CRLF (section 2.1). Raises ProxyError.

    UNKNOWN may be followed by anything, which is ignored.
    """
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(1, "UNKNOWN")
    words = line.decode("latin-1").split(" ")
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in ("TCP4", "TCP6"):
        raise ProxyError("not PROXY TCP4 or TCP6 with two addresses and two ports")
    family, source, destination = words[1], _ip(words[1], words[2]), _ip(words[1], words[3])
    return ProxyHeader(1, family, (source, _port(words[4])), (destination, _port(words[5])))


def _ip(family: str, text: str) -> str:
    # RFC 4007 11: ipaddress takes a zone behind %, but it means nothing on another machine.
    if "%" in text:
        raise ProxyError(f"{text!r} is not an address")
    try:
        return str(IPv4Address(text)) if family == "TCP4" else _ipv6(IPv6Address(text))
    except AddressValueError:
        raise ProxyError(f"{text!r} is not an address of {family}") from None


def _ipv6(address: IPv6Address) -> str:
    """A client that speaks IPv4 is an IPv4 client, whatever the load balancer listens on."""
    return str(address.ipv4_mapped or address)


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise ProxyError(f"{text!r} is not a port")
    return int(text)


# -- version 2 --------------------------------------------------------------------------------------------------------


def parse_v2(header: bytes) -> ProxyHeader:
    """Read a whole binary header (section 2.2). Raises ProxyError.

    LOCAL and UNSPEC carry nothing that counts: what follows their first 16 bytes is skipped. Addresses of datagrams
    are refused, SMTP runs over streams. A checksum that is there must be right.
    """
    if len(header) < V2_FIXED or len(header) != V2_FIXED + int.from_bytes(header[14:16]):
        raise ProxyError(f"{len(header)} bytes are not the length that the header gives")
    command, family = header[12], header[13]
    if command == _LOCAL:
        return ProxyHeader(2, "LOCAL")
    if command != _PROXY:
        raise ProxyError(f"version and command {command:#04x} are unknown")
    if family not in _FAMILIES:
        raise ProxyError(f"family and transport {family:#04x} are not served")
    return _proxied(header, *_FAMILIES[family])


def _proxied(header: bytes, family: str, size: int) -> ProxyHeader:
    if family == "UNSPEC":
        return ProxyHeader(2, family)
    if len(header) < V2_FIXED + size:
        raise ProxyError(f"too short for the addresses of {family}")
    tlvs = parse_tlvs(header[V2_FIXED + size :])
    _check_crc(header, V2_FIXED + size, tlvs)
    _check_ssl(tlvs)
    addresses = header[V2_FIXED : V2_FIXED + size]
    if family == "UNIX":
        return ProxyHeader(2, family, tlvs=tlvs)
    return ProxyHeader(2, family, *_peers(family, addresses), tlvs)


def _peers(family: str, block: bytes) -> tuple[Peer, Peer]:
    """Source address, destination address, source port, destination port."""
    size = (len(block) - 4) // 2
    source, destination = block[:size], block[size : 2 * size]
    ports = int.from_bytes(block[-4:-2]), int.from_bytes(block[-2:])
    return (_packed(family, source), ports[0]), (_packed(family, destination), ports[1])


def _packed(family: str, address: bytes) -> str:
    return str(IPv4Address(address)) if family == "TCP4" else _ipv6(IPv6Address(address))


def parse_tlvs(block: bytes) -> tuple[Tlv, ...]:
    """Split a block of type (1 byte), length (2 bytes), value (section 2.2). Raises ProxyError when it does not work out."""
    tlvs: list[Tlv] = []
    position = 0
    while position < len(block):
        end = position + 3 + int.from_bytes(block[position + 1 : position + 3])
        if position + 3 > len(block) or end > len(block):
            raise ProxyError("a TLV is longer than the header")
        tlvs.append((block[position], block[position + 3 : end]))
        position = end
    return tuple(tlvs)


def _check_ssl(tlvs: tuple[Tlv, ...]) -> None:
    """PP2_TYPE_SSL holds TLVs of its own (section 2.2.6)."""
    for kind, value in tlvs:
        if kind == TLV_SSL:
            if len(value) < _SSL_FIXED:
                raise ProxyError("the SSL TLV is too short")
            parse_tlvs(value[_SSL_FIXED:])


def _check_crc(header: bytes, start: int, tlvs: tuple[Tlv, ...]) -> None:
    """PP2_TYPE_CRC32C (section 2.2.3): over the whole header, with zeros where the checksum stands."""
    found = [value for kind, value in tlvs if kind == TLV_CRC32C]
    if not found:
        return
    if len(found) > 1 or len(found[0]) != 4:
        raise ProxyError("more than one checksum, or one that is not of four bytes")
    before = takewhile(lambda tlv: tlv[0] != TLV_CRC32C, tlvs)
    position = start + sum(3 + len(value) for _, value in before) + 3
    blank = header[:position] + bytes(4) + header[position + 4 :]
    if crc32c(blank) != int.from_bytes(found[0]):
        raise ProxyError("the checksum is wrong")


def _crc_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC_TABLE: Final = tuple(_crc_entry(value) for value in range(256))


def crc32c(data: bytes) -> int:
    """The CRC-32C of data (Castagnoli; RFC 3720 appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
