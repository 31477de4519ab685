"""The last look at a message before it leaves: nothing in it may end it early at the next server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mta.smtp.data import END, has_bare_newline

LAST_LINE = END[2:]
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_LONE_DOT = re.compile(rb"(?<=\r\n)\.(?=\r\n)")


def seal(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A message in SMTP form, chunk by chunk, followed by the end of data; sound chunks are passed on untouched.

    A queue file of another server may hold bare newlines or a dot alone on a line. The next hop could take them for the
    end of data and the rest for commands (SMTP smuggling, CVE-2023-51764), so such newlines become CRLF and such dots two.
    """
    tail = b"\r\n"  # the last bytes that the peer was given, at first the line end of DATA
    held = b""
    for chunk in chunks:
        if held:
            chunk, held = held + chunk, b""
        if chunk.endswith(b"\r"):
            chunk, held = chunk[:-1], b"\r"  # its line feed may open the next chunk
        if not chunk:
            continue
        if END in chunk or END in tail + chunk[:3] or has_bare_newline(chunk):
            chunk = _repaired(tail, chunk)
        tail = (tail + chunk[-3:])[-3:]
        yield chunk
    yield _end_after(tail + held)


def is_sound(message: bytes) -> bool:
    """True when a whole message needs nothing but LAST_LINE behind it."""
    return (
        message.endswith(b"\r\n")
        and END not in message
        and not message.startswith(LAST_LINE)
        and not has_bare_newline(message)
    )


def _end_after(tail: bytes) -> bytes:
    if tail.endswith(b"\r\n"):
        return LAST_LINE
    # A last line without line end gets one, and must not be the end of data by that.
    return b"." + END if tail.removesuffix(b"\r") == b"\r\n." else END


def _repaired(tail: bytes, chunk: bytes) -> bytes:
    text = tail + _NEWLINE.sub(b"\r\n", chunk)
    return _LONE_DOT.sub(b"..", text)[len(tail) :]
