"""Questions about IP addresses: what kind, on which list, one of ours."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from functools import lru_cache

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 1918, RFC 4193; and what never leaves a link: RFC 1122 3.2.1.3, RFC 3927, RFC 4291 2.5.3 and 2.5.6.
_LINK = ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")
_SITE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")


@lru_cache(maxsize=4096)
def parse_ip(text: str) -> IPAddress | None:
    """The address, or None when text is not one; an IPv4 address mapped into IPv6 counts as IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@lru_cache(maxsize=4096)
def parse_network(text: str) -> IPNetwork | None:
    """The network written as `10.0.0.0/8`, `2001:db8::/32` or a single address; None when it is neither.

    Host bits may be set (`10.1.2.3/8`), as operators write them.
    """
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def is_ip(text: str) -> bool:
    """True for an IPv4 or IPv6 address without brackets."""
    return parse_ip(text) is not None


def address_literal(text: str) -> str | None:
    """The address inside `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3), else None."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    inner = text[1:-1]
    if inner[:5].lower() == "ipv6:":
        inner = inner[5:]
    return inner if is_ip(inner) else None


def is_loopback(ip: str) -> bool:
    """True for an address that never leaves this machine; False for anything that is not an address."""
    address = parse_ip(ip)
    return address is not None and address.is_loopback


@lru_cache(maxsize=4096)
def is_local(ip: str) -> bool:
    """True for a loopback, link-local or unspecified address; False for anything that is not an address."""
    address = parse_ip(ip)
    return address is not None and (address.is_unspecified or _within(address, _LINK))


@lru_cache(maxsize=4096)
def is_private(ip: str) -> bool:
    """True for an address that the Internet does not route to us: private use, loopback or link-local."""
    address = parse_ip(ip)
    return address is not None and (_within(address, _SITE) or _within(address, _LINK))


def ip_in_list(ip: str, entries: Iterable[str]) -> bool:
    """True if an entry equals the address (or name), or is a network (CIDR) that holds it."""
    address = parse_ip(ip)
    if address is None:
        name = ip.lower()
        return any(entry.strip().lower() == name for entry in entries)
    return _within(address, entries)


def is_own_ip(ip: str) -> bool:
    """True if packets to this address would come back to this machine. Nothing is sent."""
    address = parse_ip(ip)
    if address is None:
        return False
    if address.is_loopback or address.is_unspecified:
        return True
    # The kernel takes a destination of ours as the source address as well; it needs no list of interfaces.
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return parse_ip(str(probe.getsockname()[0])) == address
    except OSError:
        return False


def _within(address: IPAddress, entries: Iterable[str]) -> bool:
    for entry in entries:
        network = parse_network(entry)
        if network is not None and network.version == address.version and address in network:
            return True
    return False
