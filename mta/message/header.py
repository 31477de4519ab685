"""The header of a message: fields are found, added and removed, and what nobody touched stays byte for byte."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from mta.message import addresses, encoded_words, parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.message.addresses import Mailbox

# field-name = 1*ftext;  ftext = %d33-57 / %d59-126   (RFC 5322 3.6.8); the blanks before the colon are 4.5.8
_FIELD_NAME = re.compile(r"[!-9;-~]+")

# Fields with their folded lines, as many as there are. Nothing is ever given back, so that time stays linear.
_FIELDS = re.compile(rb"(?:[!-9;-~]++[ \t]*+:.*+\n(?:[ \t].*+\n)*+)*+")

# An unfinished line that may still become, or already is, part of a header.
_FIELD_BEGINS = re.compile(rb"[!-9;-~]++[ \t]*+(?::|\Z)|[ \t]|\r?\Z")

# RFC 5322 2.1.1: a longer line is no header line, whatever it may still become.
_MAX_LINE = 998

# A value that can be written as it is: printable ASCII, folded where it has line ends.
_PLAIN_VALUE = re.compile(r"[\t -~]*+(?:\r\n[ \t]+[!-~][\t -~]*+)*+")
_LINE_END = re.compile(r"\r\n|\r|\n")
_CONTROLS = dict.fromkeys([*range(9), *range(11, 13), *range(14, 32), *range(127, 160)], " ")

COLON = ord(":")

_ONE_FIELD = re.compile(rb".*\n(?:[ \t].*\n)*")


class Header:
    """The fields of one message.

    raw is the header in SMTP form, as received: whole lines with CRLF, dots stuffed, without the empty line at its end.
    With utf8 values that are not ASCII are written in UTF-8 (RFC 6532), otherwise as encoded words (RFC 2047).
    Names are found in any case. Nothing is parsed before somebody asks for it.
    """

    __slots__ = ("_lower", "_raw", "utf8")

    def __init__(self, raw: bytes = b"", utf8: bool = False) -> None:
        self._raw = raw if raw.endswith(b"\n") or not raw else raw + b"\r\n"
        self._lower = b""  # what count() searches, made when it is first asked
        self.utf8 = utf8

    def get(self, name: str) -> str:
        """The value of the field, several of them joined by line feeds, "" when there is none."""
        return "\n".join(self.get_all(name))

    def get_all(self, name: str) -> list[str]:
        """The values of all fields of this name, from the top; folds are left in them. Not UTF-8 is read as latin-1."""
        if not self.has(name):
            return []
        return [_text(match[1].strip(b" \t\r\n")) for match in _pattern(name.lower()).finditer(self._raw)]

    def get_decoded(self, name: str) -> str:
        """As get, with folds, encoded words (RFC 2047) and parameters (RFC 2231) resolved: what a mail reader would show."""
        values = map(parameters.unfold, self.get_all(name))
        return "\n".join(encoded_words.decode(parameters.decoded(value)) for value in values)

    def get_addresses(self, name: str) -> list[Mailbox]:
        """The mailboxes in all fields of this name, names decoded, groups dissolved; what is no address is left out."""
        return [
            mailbox for value in self.get_all(name) for mailbox in addresses.parse(parameters.unfold(value))
        ]

    def has(self, name: str) -> bool:
        """True when there is a field of this name."""
        start = _needles(name)[3]
        lower = self._searchable()
        at = lower.find(start)
        # Most often a colon follows: then one search is enough.
        return at >= 0 and (lower[at + len(start)] == COLON or self.count(name) > 0)

    __contains__ = has

    def count(self, name: str) -> int:
        """How many fields of this name there are."""
        colon, blank, tab, start = _needles(name)
        lower = self._searchable()
        if lower.find(start) < 0:  # most often it is not there, and one search tells
            return 0
        # RFC 5322 4.5.8: old software may put blanks before the colon.
        if lower.find(blank) >= 0 or lower.find(tab) >= 0:
            return sum(1 for _ in _pattern(name.lower()).finditer(self._raw))
        return lower.count(colon)

    def _searchable(self) -> bytes:
        if not self._lower:
            self._lower = b"\n" + self._raw.lower()
        return self._lower

    def add(self, name: str, value: str) -> None:
        """Put a field after all others. Line ends in the value become folds. Raises ValueError for a bad name."""
        field = self._field(name, value)
        self._raw += field
        if self._lower:
            self._lower += field.lower()

    add_end = add

    def add_leading(self, name: str, value: str) -> None:
        """Put a field before all others, as trace fields must be. Otherwise as add."""
        put_first(self, self._field(name, value))

    prepend = add_leading

    def remove(self, name: str) -> None:
        """Take out every field of this name, with its folded lines."""
        if self.has(name):
            self._raw = _pattern(name.lower()).sub(b"", self._raw)
            self._lower = b""

    def replace(self, name: str, value: str) -> None:
        """Give the first field of this name another value in its place; further ones go. Without one it is added at the end."""
        if not self.has(name):
            self.add(name, value)
            return
        fields = iter((self._field(name, value),))
        self._raw = _pattern(name.lower()).sub(lambda _: next(fields, b""), self._raw)
        self._lower = b""

    def rename(self, name: str, new: str) -> None:
        """Give every field of this name another one; place and value stay. Raises ValueError for a bad name."""
        if not _FIELD_NAME.fullmatch(new):
            raise ValueError(f"not a header field name: {new!r}")
        if self.has(name):
            self._raw = _pattern(name.lower()).sub(lambda match: _stuffed(new) + b":" + match[1], self._raw)
            self._lower = b""

    def signed_fields(self) -> frozenset[str]:
        """The names, in lower case, that a DKIM or ARC signature covers (RFC 6376 3.5, RFC 8617 4.1.2).

        Whoever changes or removes such a field breaks the signature. So does who adds one below the others of its name, or
        one that is signed though it is not there; a field of any other name may be put anywhere.
        """
        signatures = self.get_all("DKIM-Signature") + self.get_all("ARC-Message-Signature")
        tags = (tag.partition("=") for signature in signatures for tag in signature.split(";"))
        return frozenset(
            field.strip().lower()
            for name, _, value in tags
            if name.strip() == "h"
            for field in value.split(":")
        )

    def lines(self) -> list[str]:
        """The fields from the top, each with its folded lines and line ends, dots unstuffed."""
        fields: Iterator[bytes] = (match[0] for match in _ONE_FIELD.finditer(self._raw))
        return [_text(field[1:] if field.startswith(b".") else field) for field in fields]

    def to_bytes(self) -> bytes:
        """The header in SMTP form, without the empty line at its end."""
        return self._raw

    def _field(self, name: str, value: str) -> bytes:
        if not _is_name(name):
            raise ValueError(f"not a header field name: {name!r}")
        if len(name) + len(value) > _MAX_LINE - 2 or not _PLAIN_VALUE.fullmatch(value):
            value = self._folded(name, value)
        field = f"{name}: {value}\r\n".encode("utf-8", "replace")
        return b"." + field if name[0] == "." else field

    def _folded(self, name: str, value: str) -> str:
        """The value such that it can neither end its line nor the header: every line after the first begins with a blank."""
        lines = [line.translate(_CONTROLS).rstrip() for line in _LINE_END.split(value)]
        lines = [lines[0], *(line if line[0] in " \t" else f" {line}" for line in lines[1:] if line.strip())]
        if not (self.utf8 or value.isascii()):
            lines = encoded_words.encode("\r\n".join(lines)).split("\r\n")
        first, *others = lines
        parts = [
            *_wrap(first, _MAX_LINE - len(name) - 2),
            *(part for line in others for part in _wrap(line, _MAX_LINE)),
        ]
        return "\r\n".join(parts)


def put_first(header: Header, field: bytes) -> None:
    """As header.add_leading, with a field as to_bytes() of another header gives it.

    No method, since what a plugin made could get out of its field.
    """
    header._raw = field + header._raw
    if header._lower:
        header._lower = b"\n" + field.lower() + header._lower[1:]


def split_header(data: bytes, complete: bool) -> tuple[bytes, bytes, int] | None:
    """Find where the header ends in the first bytes of a message in SMTP form: (header, separator, offset of the body).

    The header ends at an empty line, which is the separator, or at the first line that can be no header field: then the
    separator is b"". complete says that no more data will come, or that no more will be waited for: a line that is not whole
    then belongs to the body. None: the end is not among the data yet.
    """
    fields = _FIELDS.match(data)
    end = fields.end() if fields else 0
    if data.startswith(b"\r\n", end):
        return data[:end], b"\r\n", end + 2
    if not complete and _may_continue(data, end):
        return None
    return data[:end], b"", end


def _may_continue(data: bytes, end: int) -> bool:
    """True when what follows the last whole header line is a line that is not all there, and may belong to the header."""
    if data.find(b"\n", end) >= 0:
        return False
    match = _FIELD_BEGINS.match(data, end)
    if match is None or (end == 0 and data[:1] in (b" ", b"\t")):  # a fold has a field before it
        return False
    return match.end() < len(data) or len(data) - end <= _MAX_LINE


def _stuffed(name: str) -> bytes:
    raw = name.encode("utf-8", "replace")
    return b"." + raw if raw.startswith(b".") else raw


@lru_cache(maxsize=256)
def _needles(name: str) -> tuple[bytes, bytes, bytes, bytes]:
    """What a field of this name may begin with in a header in lower case."""
    start = b"\n" + _stuffed(name.lower())
    return start + b":", start + b" ", start + b"\t", start


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return _FIELD_NAME.fullmatch(name) is not None


@lru_cache(maxsize=256)
def _pattern(name: str) -> re.Pattern[bytes]:
    """Matches one field of this name (lower case) with its folded lines; group 1 is the value."""
    return re.compile(
        rb"^" + re.escape(_stuffed(name)) + rb"[ \t]*:(.*\n(?:[ \t].*\n)*)", re.IGNORECASE | re.MULTILINE
    )


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _wrap(line: str, room: int) -> Iterator[str]:
    """Cut a line at its blanks, as far as it has some, to room octets at first and to what a header line may have then."""
    while len((start := line[: room + 1]).encode("utf-8", "replace")) > room:
        fitting = start.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
        blank = fitting.rfind(" ", 1)
        if blank < 1 or not fitting[:blank].strip():
            break
        yield line[:blank]
        line, room = line[blank:], _MAX_LINE
    yield line
