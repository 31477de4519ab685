"""The next hops of `host=a:587 10, b:587 10, backup 20`: hosts, URLs and unix sockets, each with its priority."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORT = 25
MAX_PRIORITY = 65535  # as of an MX (RFC 1035 3.3.9)
_PORTS = {"smtp": DEFAULT_PORT, "smtps": 465, "lmtp": 24}

# RFC 1123 2.1, with the underscore that container networks put into names.
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?(?:\.[a-zA-Z0-9_](?:[a-zA-Z0-9_-]*[a-zA-Z0-9_])?)*\.?\Z"
)
_BRACKETED = re.compile(r"\[(?P<host>[^\]]*)\](?::(?P<port>[0-9]{1,5}))?\Z")
_PLAIN = re.compile(r"(?P<host>[^:\s\[\]]+)(?::(?P<port>[0-9]{1,5}))?\Z")
_URL = re.compile(r"(?P<scheme>smtps?|lmtp)://(?P<rest>.*)\Z", re.IGNORECASE)
_PATH = re.compile(r"/[\x21-\x7e]*[^/]\Z")
_PRIORITY = re.compile(r"[0-9]{1,5}\Z")


def parse_hosts(text: str) -> tuple[str, ...]:
    """Split `a:587 10, lmtp:///run/lmtp, b` into ("a:587 10", "lmtp:///run/lmtp", "b:25"), the order kept.

    A number behind a host is its priority. Raises ValueError naming the item that is neither a host name nor an IP address
    with an optional port, nor a URL or path; the message shows no password.
    """
    return tuple(item for part in text.split(",") for item in _items(part.split()))


def parse_host(item: str) -> str:
    """Normalise one next hop: `host:port` for SMTP (IPv6 addresses in brackets), a URL for anything else.

    Each scheme has its port: smtp 25, smtps 465, lmtp 24. A path is a unix socket that speaks LMTP.
    """
    if "@" in item:
        masked = f"***@{item.rpartition('@')[2]}"
        raise ValueError(f"{masked}: user and password are written as auth_user and auth_pass")
    url = _URL.match(item)
    scheme, place = (url["scheme"].lower(), url["rest"]) if url else ("smtp", item)
    if place.startswith("/"):
        return _socket(scheme if url else "lmtp", place, item)
    host, port = _host_and_port(place.removesuffix("/") if url else place, item, _PORTS[scheme])
    if not 1 <= port <= 65535:
        raise ValueError(f"{item} has no port from 1 to 65535")
    written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return written if scheme == "smtp" else f"{scheme}://{written}"


def prioritised(hosts: tuple[str, ...]) -> list[tuple[str, int]]:
    """Each host of parse_hosts with its priority; one without a number comes right after the host before it."""
    found: list[tuple[str, int]] = []
    for text in hosts:
        host, _, number = text.partition(" ")
        before = found[-1][1] if found else -1
        found.append((host, int(number) if number else before + 1))
    return found


def is_host_name(text: str) -> bool:
    """True for what may be looked up in the DNS."""
    return _NAME.match(text) is not None


def _items(words: list[str]) -> list[str]:
    """The hosts of words between two commas, where `a b` are two hosts and `a 10` is one."""
    items: list[str] = []
    for word in words:
        if not _PRIORITY.match(word):
            items.append(parse_host(word))
        elif not items or " " in items[-1]:
            raise ValueError(f"{word} is not a host name or address, nor the priority of one")
        elif int(word) > MAX_PRIORITY:
            raise ValueError(f"{word} is no priority from 0 to {MAX_PRIORITY}")
        else:
            items[-1] += f" {int(word)}"
    return items


def _socket(scheme: str, path: str, item: str) -> str:
    if scheme == "smtps" or not _PATH.match(path) or any(mark in path for mark in "?#"):
        raise ValueError(f"{item} is not the path of a unix socket")
    return f"{scheme}://{path}"


def _host_and_port(text: str, item: str, default: int) -> tuple[str, int]:
    found = _BRACKETED.match(text) or _PLAIN.match(text)
    host, port = (found["host"], int(found["port"] or default)) if found else (text, default)
    if host.count(":") > 1 or text.startswith("["):
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
