"""Long lines: no line of a message may have more than 1000 octets with its CRLF (RFC 5321 4.5.3.1.6)."""

from __future__ import annotations

import re
from functools import lru_cache

MIN_LIMIT = 64
CONTINUES = b"\r\n "


def has_long_line(message: bytes, limit: int) -> bool:
    """True when a LineFolder of this limit would fold a line of this message, which ends with CRLF."""
    limit = max(limit, MIN_LIMIT)
    return _past_short_lines(message, 0, limit) <= len(message) - limit + 1


def _past_short_lines(data: bytes, start: int, limit: int) -> int:
    """Where the first line from start on begins that is too long, or that may be, for it does not end in data.

    start is negative when the line begins in an earlier piece.
    """
    if start < 0:
        newline = data.rfind(b"\n", 0, start + limit)
        if newline < 0:
            return start
        start = newline + 1
    match = _short_lines(limit).match(data, start)
    assert match is not None  # it matches nothing, too
    return match.end()


@lru_cache(maxsize=4)
def _short_lines(limit: int) -> re.Pattern[bytes]:
    """Matches whole lines: from limit octets on it looks back for a line end. So it sees few of the octets: 3 us for 50 KB."""
    return re.compile(rb"(?s:.{0,%d}\n)*+" % (limit - 1))


class LineFolder:
    """Takes a message in pieces, cut anywhere but between CR and LF, and folds each line that is longer than the limit.

    limit: octets in a line with its CRLF, 64 at least. A line that is too long goes on, behind a blank, on the next one.
    folded: it has happened.
    """

    __slots__ = ("_limit", "_unfinished", "folded")

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, MIN_LIMIT)
        self._unfinished = 0  # octets of a line that was cut at the end of the last piece
        self.folded = False

    def feed(self, data: bytes) -> bytes:
        """The next piece, with its long lines folded."""
        start = _past_short_lines(data, -self._unfinished, self._limit)
        if start <= len(data) - self._limit + 1:
            return self._fold(data, start)
        self._unfinished = len(data) - start
        return data

    def _fold(self, data: bytes, start: int) -> bytes:
        """The same from the first line on that is too long; it begins at start, which is negative in an earlier piece."""
        limit, last = self._limit, len(data) - self._limit + 1
        after = max(start, 0)  # the line may end from here on
        parts: list[bytes] = []
        done = 0
        while start <= last:
            newline = data.rfind(b"\n", after, start + limit)
            if newline >= 0:
                start = after = newline + 1
            else:
                after = start + limit - 2
                parts += (data[done:after], CONTINUES)
                done, start = after, after - 1
        self._finish(data, start, after)
        self.folded = True
        return b"".join((*parts, data[done:]))

    def _finish(self, data: bytes, start: int, after: int) -> None:
        newline = data.rfind(b"\n", after)
        self._unfinished = len(data) - (newline + 1 if newline >= 0 else start)
