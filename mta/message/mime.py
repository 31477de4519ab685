"""Finds the parts of a multipart message in one pass, whatever its boundaries look like (RFC 2046 5.1)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from mta.message.body import Body
from mta.message.header import Header, split_header

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

MAX_PARTS = 1000
MAX_DEPTH = 100
MAX_PART_HEADER = 64 * 1024  # what goes beyond belongs to the contents

# A line that may be a delimiter, if it is not longer than lines are.
_FIRST_DELIMITER = re.compile(rb"--([^\r\n]{1,1022}+)(?=\r\n|\Z)")
_DELIMITER = re.compile(rb"\r\n--([^\r\n]{1,1022}+)(?=\r\n|\Z)")

# So many lines that look like delimiters are examined before others get their turn.
_PAUSE_AFTER = 10_000


class TooManyParts(ValueError):
    """The message has more parts than are allowed; `[max] mime_parts` in connection.ini."""


def parse(
    header: Header, data: bytes | mmap.mmap, max_parts: int = MAX_PARTS, max_depth: int = MAX_DEPTH
) -> Body:
    """The tree of a message: its header, and its body in SMTP form (CRLF, dots stuffed).

    A multipart that is nested deeper than max_depth, or has no usable boundary, is a part without parts. Raises TooManyParts.
    """
    return _Splitter(header, data, max_parts, max_depth).run()


class _Splitter:
    """Walks over the delimiter lines. The enclosing multiparts come first: their delimiters end all that is inside."""

    def __init__(self, header: Header, data: bytes | mmap.mmap, max_parts: int, max_depth: int) -> None:
        self._data = data
        self._max_parts = max_parts
        self._max_depth = max_depth
        self._parts = 0
        self._stack: list[tuple[Body, bytes]] = []  # multiparts that are open, from outside to inside
        self._levels: dict[bytes, int] = {}  # their boundaries
        self._root = self._leaf = Body(header, data, 0, len(data))

    def run(self) -> Body:
        self._enter(self._root)
        if not self._levels:
            return self._root
        for start, stop, token in self._delimiters():
            level = self._levels.get(token)
            if level is not None:
                self._end_at(start, level)
                self._begin_at(min(stop + 2, len(self._data)))
            elif token.endswith(b"--") and (level := self._levels.get(token[:-2])) is not None:
                self._end_at(start, level)
                self._close(stop)
        return self._root

    def _delimiters(self) -> Iterator[tuple[int, int, bytes]]:
        """Lines that begin with `--`: start, end without CRLF, and what follows the dashes, while there is a multipart."""
        if first := _FIRST_DELIMITER.match(self._data):
            yield 0, first.end(), first[1].rstrip(b" \t")
        for number, match in enumerate(_DELIMITER.finditer(self._data), 1):
            if not self._levels:
                return
            # RFC 2046 5.1.1: blanks behind the boundary were added on the way.
            yield match.start() + 2, match.end(), match[1].rstrip(b" \t")
            if number % _PAUSE_AFTER == 0:
                time.sleep(0)

    def _enter(self, part: Body) -> None:
        """Look for the parts of a multipart."""
        if part.depth >= self._max_depth or not part.content_type.startswith("multipart/"):
            return
        boundary = _octets(part.params.get("boundary", "").rstrip(" \t"), part.header)
        if boundary and boundary not in self._levels:
            self._levels[boundary] = len(self._stack)
            self._stack.append((part, boundary))

    def _end_at(self, start: int, level: int) -> None:
        """A delimiter of the multipart at this level: what is inside ends before the CRLF in front of it."""
        end = max(start - 2, 0)
        if self._leaf is not self._stack[level][0]:
            self._leaf.end = min(self._leaf.end, max(self._leaf.start, end))
        while len(self._stack) > level + 1:
            part, boundary = self._stack.pop()
            del self._levels[boundary]
            last = part.children[-1].end if part.children else 0  # an empty one reaches to the delimiter
            part.end = min(part.end, max(part.start, end, last))

    def _close(self, stop: int) -> None:
        """The last delimiter of the innermost multipart; what follows is its epilogue and belongs to no part."""
        part, boundary = self._stack.pop()
        del self._levels[boundary]
        if part.children:
            part.end = stop
        self._leaf = part

    def _begin_at(self, start: int) -> None:
        """A new part of the innermost multipart."""
        self._parts += 1
        if self._parts > self._max_parts:
            raise TooManyParts(f"more than {self._max_parts} MIME parts")
        parent = self._stack[-1][0]
        raw, offset = self._header_at(start)
        part = Body(
            Header(raw),
            self._data,
            start + offset,
            len(self._data),
            header_start=start,
            depth=parent.depth + 1,
            parent_type=parent.content_type,
        )
        parent.children.append(part)
        self._leaf = part
        self._enter(part)

    def _header_at(self, start: int) -> tuple[bytes, int]:
        window = self._data[start : start + MAX_PART_HEADER]
        raw, _, offset = split_header(window, complete=True) or (b"", b"", 0)
        if raw.startswith(b"--") or b"\n--" in raw:  # a delimiter with a colon in it looks like a field
            kept = self._before_delimiter(raw)
            if len(kept) < len(raw):
                return kept, len(kept)
        return raw, offset

    def _before_delimiter(self, raw: bytes) -> bytes:
        end = 0
        for line in raw.splitlines(keepends=True):
            token = line[2:].rstrip() if line.startswith(b"--") else b""
            if token and (token in self._levels or token.removesuffix(b"--") in self._levels):
                break
            end += len(line)
        return raw[:end]


def _octets(boundary: str, header: Header) -> bytes:
    """As it stands in the message: a header that is not UTF-8 was read as latin-1."""
    octets = boundary.encode("utf-8", "replace")
    return octets if octets in header.to_bytes() else boundary.encode("latin-1", "replace")
