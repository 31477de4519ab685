"""What settings about logging may be."""

from __future__ import annotations

import re
from typing import Final

from mta.config.kinds import LEVEL, LEVELS, scalar

FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "security", "console", "solaris-cron"),
    *(f"local{number}" for number in range(8)),
)
"""The names of syslog's facilities, each at its number (RFC 5424 6.2.1)."""

_SERVER = re.compile(r"(?:unix:)?/[^\0]+|(udp|tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?")


def _level_or_same(text: str) -> str:
    return LEVEL.parse([text]) if text else ""


def _relabel(text: str) -> str:
    """`+1`, `-2`, or a level that all lines get."""
    return text if re.fullmatch(r"[+-][0-9]", text) else LEVEL.parse([text])


def _facility(text: str) -> str:
    name = text.lower().removeprefix("log_")
    if name not in FACILITIES:
        raise ValueError(f"{text!r} is not one of them")
    return name


def _server(text: str) -> str:
    if not _SERVER.fullmatch(text):
        raise ValueError(f"{text!r} is neither a path nor an address of that form")
    return text


LEVEL_OR_SAME = scalar(f"{', '.join(LEVELS).lower()}; empty: as in log.ini", _level_or_same, str.lower)
RELABEL = scalar("+1 to +9, -1 to -9, or a level", _relabel, str.lower)
FACILITY = scalar(", ".join(FACILITIES), _facility)
SYSLOG_SERVER = scalar(
    "the path of a socket, or udp://host:514, tcp://host:514, tls://host:6514; without a port these", _server
)
