"""Why a message waits, in words, and until when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "held",
    "delivering",
    "backoff",
    "suspended",
    "resting",
    "rate",
    "site concurrency",
    "concurrency",
    "disabled",
]


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that a message waits for. until: seconds since 1970 when it opens by itself, None when nobody knows."""

    kind: Kind
    text: str
    until: float | None = None

    def __str__(self) -> str:
        if self.until is None:
            return f"{self.kind}: {self.text}"
        return f"{self.kind}: {self.text}, until {moment(self.until)}"


def moment(when: float) -> str:
    """A time in local words, to the second: `2026-11-25 12:00:00`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
