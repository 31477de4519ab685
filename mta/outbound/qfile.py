"""The name of a queue file, which tells all that a retry changes."""

from __future__ import annotations

import os
import random
import re
import string
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import NamedTuple

from mta.outbound.share import EVERYTHING, Share

TEMPORARY = "__tmp__."
SET_ASIDE = "error."

MAX_COUNTER = 10_000
HELD_MS = 9_999_999_999_999  # next attempt of an entry that an operator holds: the year 2286, for any server
MAX_HOST = 150  # characters; a file name has at most 255 bytes
_ALPHABET = (string.ascii_letters + string.digits).encode()
_TO_LETTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_UNIQ_LENGTH, _UNIQS_AT_ONCE = 6, 256

# arrival "_" next-attempt "_" attempts "_" pid "_" uniq "_" counter "_" host
_NAME = re.compile(
    r"([0-9]{1,15})_([0-9]{1,15})_([0-9]{1,9})_([0-9]{1,10})"
    r"_([^_/\x00-\x1f\x7f]+)_([0-9]{1,9})_([^_/\x00-\x1f\x7f]+)"
)
# next-attempt "_" attempts "_" pid "_" uniq "." host, as written before Haraka 2.8
_LEGACY_NAME = re.compile(r"([0-9]{1,15})_([0-9]{1,9})_([0-9]{1,10})_([0-9]{1,15})\.([^_/\x00-\x1f\x7f]+)")
_ESCAPES = str.maketrans({"\\": r"\057", "/": r"\057", ":": r"\072", "_": r"\137"})


class QueueFileName(NamedTuple):  # made four times as fast as a frozen dataclass, and a start makes a million
    """The seven fields of a name; arrival and next_attempt in milliseconds since 1970.

    text is the name as it stands on disk, and what makes two names equal.
    """

    arrival: int
    next_attempt: int
    attempts: int
    pid: int
    uniq: str
    counter: int
    host: str
    text: str

    @staticmethod
    def of(
        arrival: int, next_attempt: int, attempts: int, pid: int, uniq: str, counter: int, host: str
    ) -> QueueFileName:
        """Make a name of its fields; host is in its escaped form."""
        text = f"{arrival}_{next_attempt}_{attempts}_{pid}_{uniq}_{counter}_{host}"
        return _make((arrival, next_attempt, attempts, pid, uniq, counter, host, text))

    @staticmethod
    def parse(text: str) -> QueueFileName:
        """Read a name of seven parts, or of four as older versions wrote it. Raises ValueError.

        The old form tells no arrival: it is now. Its last number is the uniq, which stays through all retries.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            return _parse_legacy(text)
        arrival, next_attempt, attempts, pid, uniq, counter, host = match.groups()
        return QueueFileName(
            int(arrival), int(next_attempt), int(attempts), int(pid), uniq, int(counter), host, text
        )

    @property
    def is_held(self) -> bool:
        """True when an operator holds the entry."""
        return self.next_attempt >= HELD_MS

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QueueFileName) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


# Past the class's own __new__, which is Python and only makes this tuple.
_make: Callable[[tuple[int, int, int, int, str, int, str, str]], QueueFileName] = partial(
    tuple.__new__, QueueFileName
)


def _parse_legacy(text: str) -> QueueFileName:
    match = _LEGACY_NAME.fullmatch(text)
    if match is None:
        raise ValueError(f"not the name of a queue file: {text!r}")
    next_attempt, attempts, pid, uniq, host = match.groups()
    now_ms = int(time.time() * 1000)
    return QueueFileName(now_ms, int(next_attempt), int(attempts), int(pid), uniq, 0, host, text)


def escape_host(hostname: str) -> str:
    """The host name as a part of a file name: the characters that have a meaning there become octal escapes."""
    return hostname.translate(_ESCAPES)[:MAX_HOST] or "localhost"


def new_uniqs(share: Share = EVERYTHING) -> Iterator[str]:
    """Six letters or digits, again and again, of those that fall to this share."""
    while True:
        # Many at a time: alone, each costs a relay of 1 KB 1 %. That some letters come more often does no harm.
        letters = random.randbytes(_UNIQ_LENGTH * _UNIQS_AT_ONCE).translate(_TO_LETTERS).decode()
        starts = range(0, len(letters), _UNIQ_LENGTH)
        uniqs = [letters[start : start + _UNIQ_LENGTH] for start in starts]
        yield from uniqs if share.slots == 1 else filter(share.owns, uniqs)


class QueueNamer:
    """Makes names that this process has not used before, all in its share of the queue; make it after a fork."""

    __slots__ = ("_host", "_numbers", "_pid", "_uniqs")

    def __init__(self, hostname: str, share: Share = EVERYTHING) -> None:
        self._host = escape_host(hostname)
        self._uniqs = new_uniqs(share)
        self._pid = os.getpid()
        self._numbers = count(1)

    def new(self, arrival_ms: int, next_attempt_ms: int) -> QueueFileName:
        """The name of an entry that was never tried."""
        pid, uniq, counter, host = self._pid, next(self._uniqs), self._count(), self._host
        # As QueueFileName.of does it; numbers are dear to write, and most often these two are one.
        arrival = str(arrival_ms)
        due = arrival if next_attempt_ms == arrival_ms else str(next_attempt_ms)
        text = f"{arrival}_{due}_0_{pid}_{uniq}_{counter}_{host}"
        return _make((arrival_ms, next_attempt_ms, 0, pid, uniq, counter, host, text))

    def next(self, name: QueueFileName, attempts: int, next_attempt_ms: int) -> QueueFileName:
        """The name of the same entry for its next attempt: arrival, pid and uniq stay."""
        return QueueFileName.of(
            name.arrival, next_attempt_ms, attempts, name.pid, name.uniq, self._count(), self._host
        )

    def _count(self) -> int:
        return next(self._numbers) % (MAX_COUNTER + 1)
