"""What may be written as the value of a setting: each kind parses the text and says what it allows."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from mta.config.envelopes import parse_domains, parse_senders
from mta.config.intervals import parse_intervals, parse_span, show_intervals, show_span
from mta.config.rate import parse_rate, parse_rate_or_none, show_rate, show_rate_or_none
from mta.config.smarthost import is_host_name, parse_hosts
from mta.config.sources import Source, parse_address, parse_sources
from mta.record import record

T = TypeVar("T")

CPUS = -1  # as many as there are processors

TRUE = ("true", "yes", "ok", "enabled", "on", "1")
FALSE = ("false", "no", "disabled", "off", "0")
TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
SASL = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
PASSWORD_MECHANISMS = ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "scram-sha-256-plus")
CLIENT_MECHANISMS = (*PASSWORD_MECHANISMS, "xoauth2", "oauthbearer")
LEVELS = ("DATA", "PROTOCOL", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRIT", "ALERT", "EMERG")


@record
class Kind(Generic[T]):
    """`parse` takes the texts that were written (one, or several for `key[]`) and raises ValueError saying why not.

    `show` writes a value the way an operator would, `allowed` finishes the sentence "allowed: ...".
    `secret` values appear in no message; `array` kinds are written `key[]=`, once for each element.
    """

    allowed: str
    parse: Callable[[Sequence[str]], T]
    show: Callable[[T], str]
    secret: bool = False
    array: bool = False


def scalar(
    allowed: str, parse: Callable[[str], T], show: Callable[[T], str] = str, *, secret: bool = False
) -> Kind[T]:
    """A kind with exactly one value."""

    def parse_one(texts: Sequence[str]) -> T:
        if len(texts) != 1:
            raise ValueError("there is more than one value")
        return parse(texts[0])

    return Kind(allowed, parse_one, show, secret)


def _flag(text: str) -> bool:
    word = text.lower()
    if word not in TRUE + FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    return word in TRUE


def whole(low: int, high: int | None = None) -> Kind[int]:
    """A whole number from `low` to `high`, or without an upper limit."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise ValueError(f"{text!r} is not a whole number")
        number = int(text)
        if number < low or (high is not None and number > high):
            raise ValueError(f"{number} is out of range")
        return number

    limits = f"from {low} to {high}" if high is not None else f"from {low} up"
    return scalar(f"a whole number {limits}", parse)


def _workers(text: str) -> int:
    return CPUS if text.lower() == "cpus" else _COUNT_OF_WORKERS.parse([text])


def choice(*words: str) -> Kind[str]:
    """One of `words`, in any case; the value is the word as it stands here."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"{text!r} is not one of them")
        return text.lower()

    return scalar(", ".join(words), parse)


def _words(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for text in texts for word in re.split(r"[\s,;]+", text) if word)


def _level(text: str) -> str:
    """A log level by name (`info`, `LOGINFO`) or by number (9 is DATA, 0 is EMERG)."""
    name = text.upper().removeprefix("LOG")
    if re.fullmatch(r"[0-9]", name):
        return LEVELS[9 - int(name)]
    if name not in LEVELS:
        raise ValueError(f"{text!r} is not a log level")
    return name


def _commas(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(item.strip() for text in texts for item in text.split(",") if item.strip())


def _mechanisms(texts: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.upper() for name in _commas(texts))
    unknown = [name for name in names if name not in SASL]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of them")
    return names


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise ValueError(f"{text!r} is not a number of seconds")
    return float(text)


def _show_flag(value: bool) -> str:
    return "true" if value else "false"


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is neither an address nor a network") from None
    return text


def _networks(texts: Sequence[str]) -> tuple[str, ...]:
    """IPv6 addresses may stand in brackets: `[2001:db8::1]`, `[2001:db8::]/32`. A blank entry is none: `hosts[]=`."""
    return tuple(_network(re.sub(r"^\[(.*)\]", r"\1", text.strip())) for text in texts if text.strip())


def _hosts_or_networks(texts: Sequence[str]) -> tuple[str, ...]:
    """Names in lower case; addresses and networks as NETWORKS takes them."""
    found = []
    for text in texts:
        if is_host_name(text.strip()):
            found.append(text.strip().lower().rstrip("."))
        elif text.strip():
            found += _networks([text])
    return tuple(found)


def _host_or_network(text: str) -> str:
    found = _hosts_or_networks([text])
    if not found:
        raise ValueError("there is no host")
    return found[0]


def _ports(texts: Sequence[str]) -> tuple[int, ...]:
    return tuple(_PORT.parse([text]) for text in _commas(texts))


def _show_ports(ports: tuple[int, ...]) -> str:
    return ", ".join(map(str, ports))


def _tls_version(text: str) -> str:
    for version in TLS_VERSIONS:
        if text.lower() in (version.lower(), version.lower().removeprefix("tlsv")):
            return version
    raise ValueError(f"{text!r} is not one of them")


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


def _address(text: str) -> str:
    """An address in plain form; what it means is for those to find out who send mail to it."""
    if text and not re.fullmatch(r"[^\s<>@]+@[^\s<>@]+", text):
        raise ValueError(f"{text!r} is not an address")
    return text


TEXT = scalar("text", str)
ADDRESS = scalar("an address such as postmaster@example.com", _address)
SPAN = scalar("0, or a time such as 90s, 30m, 4h, 5d; a number alone is seconds", parse_span, show_span)
SECRET = scalar("text", str, secret=True)
FLAG = scalar("true, false", _flag, _show_flag)
FLAG_OR_SAME: Kind[bool | None] = scalar(
    "true, false", _flag, lambda value: "" if value is None else _show_flag(value)
)
LEVEL = scalar(", ".join(LEVELS).lower(), _level, str.lower)
SECONDS = scalar("a number of seconds, 0 for no limit", _seconds, lambda value: f"{value:g}")
INTERVALS = scalar(
    "none, or a list such as 1m, 5m*2, 1h with the units s, m, h, d", parse_intervals, show_intervals
)
RATE = scalar(
    "COUNT/TIME such as 100/1m or 10/s with the units s, m, h, d; empty for no limit", parse_rate, show_rate
)
RATE_OR_NONE = scalar(
    "COUNT/TIME such as 50/5m or 10/s with the units s, m, h, d; a count alone is for a minute, 0 is no limit",
    parse_rate_or_none,
    show_rate_or_none,
)
LIST: Kind[tuple[str, ...]] = Kind("a list with commas", _commas, ", ".join)
WORDS: Kind[tuple[str, ...]] = Kind("a list with commas, semicolons or blanks", _words, ",".join)
MECHANISMS: Kind[tuple[str, ...]] = Kind(f"a list of {', '.join(SASL)}", _mechanisms, ",".join)
LINES: Kind[tuple[str, ...]] = Kind("text, one line of the greeting each", tuple, "".join, array=True)
HOSTS: Kind[tuple[str, ...]] = Kind(
    "host:port, host:port; host:port 10 with a priority; smtps://host, lmtp://host, /path of a socket",
    lambda texts: parse_hosts(",".join(texts)),
    ", ".join,
)
DOMAINS: Kind[tuple[str, ...]] = Kind(
    "example.com, *.example.com or *", lambda texts: parse_domains(",".join(texts)), ", ".join
)
SENDERS: Kind[tuple[str, ...]] = Kind(
    "joe@example.com, example.com, *.example.com, <> or *",
    lambda texts: parse_senders(",".join(texts)),
    ", ".join,
)
IP_ADDRESS = scalar("an IP address", parse_address)
SOURCES: Kind[tuple[Source, ...]] = Kind(
    "an IP address, its weight (1), our name in EHLO: 192.0.2.1 10 mail1.example.com",
    parse_sources,
    lambda sources: ", ".join(map(str, sources)),
    array=True,
)
NETWORK = scalar("an address such as 192.0.2.1 or 2001:db8::1, a network such as 192.0.2.0/24", _network)
NETWORKS: Kind[tuple[str, ...]] = Kind(
    "an address or a network such as 192.0.2.0/24, one each", _networks, ", ".join, array=True
)
HOSTS_OR_NETWORKS: Kind[tuple[str, ...]] = Kind(
    "a domain, a host name, an address or a network, one each", _hosts_or_networks, ", ".join, array=True
)
HOST_OR_NETWORK = scalar("a host name, an address or a network such as 192.0.2.0/24", _host_or_network)
_COUNT_OF_WORKERS = whole(0, 1024)
WORKERS = scalar(
    "0, a whole number up to 1024, or cpus", _workers, lambda count: "cpus" if count == CPUS else str(count)
)
_PORT = whole(1, 65535)
PORTS = Kind("ports from 1 to 65535, with commas", _ports, _show_ports)
PORT_LINES = Kind("a port from 1 to 65535, one each", _ports, _show_ports, array=True)
TLS_VERSION = scalar(", ".join(TLS_VERSIONS), _tls_version)
PATTERN = scalar("a regular expression", _pattern)
