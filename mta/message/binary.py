"""Binary MIME (RFC 3030 3) made into lines, which is all that the queue and most next hops can take."""

from __future__ import annotations

import re
from typing import Final

from mta.message.reencode import NotConvertible, Target, reencoded

__all__ = ["MAX_LINE", "NotConvertible", "is_lines", "to_lines"]

MAX_LINE = 998  # RFC 5322 2.1.1

_NEWLINE = re.compile(rb"\r\n|\r|\n")


def is_lines(data: bytes) -> bool:
    """True when data is nothing but lines with CRLF, none of them too long, without NUL."""
    if b"\0" in data or not data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n"):
        return False
    return max(map(len, data.split(b"\r\n"))) <= MAX_LINE


def to_lines(message: bytes) -> bytes:
    """Give the message with each part that is not made of lines encoded as base64; one that needs nothing stays as it is.

    message: header and body, dots not stuffed. Raises NotConvertible.
    """
    if is_lines(message):
        return message
    converted = reencoded(message, _LINES)
    if not is_lines(converted):
        raise NotConvertible("there are octets outside of its parts that are no lines")
    return converted


def _with_line_ends(body: bytes) -> bytes:
    """The line ends of a part that is encoded already are not content."""
    return _NEWLINE.sub(b"\r\n", body)


_LINES: Final = Target(is_lines, "8bit", lambda kind: "base64", _with_line_ends)
