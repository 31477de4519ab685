"""So many in such a time, as operators write it: `100/1m`, `10/s`, `5000/d`."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_COUNT = 1_000_000_000
_RATE = re.compile(r"([0-9]{1,10})\s*/\s*([0-9]{0,6})\s*([smhd])", re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
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
