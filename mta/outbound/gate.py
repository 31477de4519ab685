"""Why a message waits, in words, and until when."""

from __future__ import annotations

import re
import time
from typing import Literal

from mta.record import record

Kind = Literal[
    "DNS failure",
    "TLS policy",
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
NOT_YET = "the worker that had it is finishing, try again"

# RFC 3463 3.5, 3.8: what the replies are marked with that we give for a look-up that failed, and for a host that did not
# prove what a policy asks for.
_CAUSES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("DNS failure", re.compile(r"\b4\.4\.[34]\b")),
    ("TLS policy", re.compile(r"\b4\.7\.(?:5|10|30)\b")),
)


@record
class Gate:
    """One thing that a message waits for. until: seconds since 1970 when it opens by itself, None when nobody knows."""

    kind: Kind
    text: str
    until: float | None = None

    def __str__(self) -> str:
        if self.until is None:
            return f"{self.kind}: {self.text}"
        return f"{self.kind}: {self.text}, until {moment(self.until)}"


def cause_of(reason: str | None) -> Gate | None:
    """What has to be mended before the next attempt can do better, when the last one failed at the DNS or at a policy."""
    for kind, pattern in _CAUSES if reason else ():
        if pattern.search(reason or ""):
            return Gate(kind, reason or "")
    return None


def moment(when: float) -> str:
    """A time in local words, to the second: `2026-11-25 12:00:00`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
