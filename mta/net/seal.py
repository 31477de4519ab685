"""The last look at a message before it leaves: nothing in it may end it early at the next server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mta.smtp.data import END, find_end, has_bare_newline

LAST_LINE = END[2:]
ALL = 1 << 62  # bytes of any message
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_LONE_DOT = re.compile(rb"(?<=\r\n)\.(?=\r\n)")


def seal(chunks: Iterable[bytes], unknown: int = ALL) -> Iterator[bytes]:
    """A message in SMTP form, chunk by chunk, followed by the end of data; sound chunks are passed on untouched.

    A queue file of another server may hold bare newlines or a dot alone on a line. The next hop could take them for the
    end of data and the rest for commands (SMTP smuggling, CVE-2023-51764), so such newlines become CRLF and such dots two.

    unknown: so many bytes at the beginning have to be looked at. What follows has been, by who can tell: there only the places
    where chunks meet are. For 5 MB this saves what taking it in costs.
    """
    tail = b"\r\n"  # the last bytes that the peer was given, at first the line end of DATA
    held = b""
    for chunk in chunks:
        known = unknown <= 0 and not held
        unknown -= len(chunk)
        if held:
            chunk, held = held + chunk, b""
        if chunk.endswith(b"\r"):
            chunk, held = chunk[:-1], b"\r"  # its line feed may open the next chunk
        if not chunk:
            continue
        if END in tail + chunk[:3] or not (known or _is_sound(chunk)):
            chunk = _repaired(tail, chunk)
        tail = (tail + chunk[-3:])[-3:]
        yield chunk
    yield _end_after(tail + held)


def is_sound(message: bytes, unknown: int = ALL) -> bool:
    """True when a whole message needs nothing but LAST_LINE behind it. unknown: as for seal."""
    if not message.endswith(b"\r\n") or message.startswith(LAST_LINE):
        return False
    if unknown >= len(message):
        return _is_sound(message)
    # A CRLF.CRLF that is not all in the part that is known begins before it.
    return message.find(END, 0, unknown + len(END) - 1) < 0 and not has_bare_newline(message[:unknown])


def _is_sound(chunk: bytes) -> bool:
    return find_end(chunk) < 0 and not has_bare_newline(chunk)


def _end_after(tail: bytes) -> bytes:
    if tail.endswith(b"\r\n"):
        return LAST_LINE
    # A last line without line end gets one, and must not be the end of data by that.
    return b"." + END if tail.removesuffix(b"\r") == b"\r\n." else END


def _repaired(tail: bytes, chunk: bytes) -> bytes:
    text = tail + _NEWLINE.sub(b"\r\n", chunk)
    return _LONE_DOT.sub(b"..", text)[len(tail) :]
