"""So many in such a time, as operators write it: `100/1m`, `10/s`, `5000/d`."""

from __future__ import annotations

import re

from mta.record import record

MINUTE = 60
MAX_COUNT = 1_000_000_000
_RATE = re.compile(r"([0-9]{1,10})\s*/\s*([0-9]{0,6})\s*([smhd])", re.ASCII | re.IGNORECASE)
_COUNT_FIRST = re.compile(r"([0-9]{1,10})\s*(?:/\s*([0-9]{0,6})\s*([smhd]?))?", re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@record
class Rate:
    """`count` in `seconds`."""

    count: int
    seconds: int

    def __str__(self) -> str:
        for unit, length in reversed(_SECONDS.items()):
            if self.seconds % length == 0:
                number = self.seconds // length
                return f"{self.count}/{'' if number == 1 else number}{unit}"
        return f"{self.count}/{self.seconds}s"


def parse_rate(text: str) -> Rate | None:
    """Read `COUNT/[NUMBER]UNIT` with unit s, m, h or d; None for an empty text. Raises ValueError saying what is wrong."""
    if not text.strip():
        return None
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a rate such as 100/1m")
    count, number, unit = int(match[1]), int(match[2] or 1), match[3].lower()
    if not 0 < count <= MAX_COUNT or not number:
        raise ValueError(f"{text!r} is a rate with nothing in it")
    return Rate(count, number * _SECONDS[unit])


def show_rate(rate: Rate | None) -> str:
    """The same in words that parse_rate reads."""
    return str(rate) if rate else ""


def parse_rate_or_none(text: str) -> Rate:
    """Read `COUNT`, which is in a minute, or `COUNT/[NUMBER][UNIT]`; a count of 0 is no limit. Raises ValueError saying what is wrong."""
    match = _COUNT_FIRST.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a rate such as 50/5m")
    count, number, unit = int(match[1]), match[2], match[3]
    if count > MAX_COUNT or (number and not int(number)) or number == unit == "":
        raise ValueError(f"{text!r} is a rate with nothing in it")
    return Rate(count, int(number or 1) * _SECONDS[(unit or "s").lower()] if number or unit else MINUTE)


def show_rate_or_none(rate: Rate) -> str:
    """The same in words that parse_rate_or_none reads."""
    return str(rate) if rate.count else "0"
