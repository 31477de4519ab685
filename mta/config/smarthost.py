"""The next hops of `[smarthost] host=a:587, b:587`, in the order in which they are tried."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORT = 25

# RFC 1123 2.1, with the underscore that container networks put into names.
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?(?:\.[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?)*\.?\Z"
)
_BRACKETED = re.compile(r"\[(?P<host>[^\]]*)\](?::(?P<port>\d{1,5}))?\Z")
_PLAIN = re.compile(r"(?P<host>[^:\s\[\]]+)(?::(?P<port>\d{1,5}))?\Z")


def parse_hosts(text: str) -> tuple[str, ...]:
    """Split `a:587, [2001:db8::1]:25, b` into ("a:587", "[2001:db8::1]:25", "b:25"), the order kept.

    Raises ValueError naming the item that is neither a host name nor an IP address with an optional port.
    """
    return tuple(parse_host(item) for item in re.split(r"[,\s]+", text) if item)


def parse_host(item: str) -> str:
    """Normalise one next hop to `host:port`; IPv6 addresses in brackets, port 25 unless it says another."""
    host, port = _host_and_port(item)
    if not 1 <= port <= 65535:
        raise ValueError(f"{item} has no port from 1 to 65535")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_host_name(text: str) -> bool:
    """True for what may be looked up in the DNS."""
    return _NAME.match(text) is not None


def _host_and_port(item: str) -> tuple[str, int]:
    found = _BRACKETED.match(item) or _PLAIN.match(item)
    host, port = (found["host"], int(found["port"] or DEFAULT_PORT)) if found else (item, DEFAULT_PORT)
    if host.count(":") > 1 or item.startswith("["):
        return _ipv6(host, item), port
    if not _NAME.match(host) or _is_bad_ipv4(host):
        raise ValueError(f"{item} is not a host name or address")
    return host, port


def _ipv6(host: str, item: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise ValueError(f"{item} is not an IPv6 address") from None


def _is_bad_ipv4(host: str) -> bool:
    """Four groups of digits are meant as an address, so 10.0.0.256 is an error and not a name."""
    if not re.fullmatch(r"[\d.]+", host):
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False
