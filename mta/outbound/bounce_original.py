"""The part of a report that gives the original back: its header (RFC 6522 4), or the whole message."""

from __future__ import annotations

from email.message import Message

from mta.outbound.bounce_mime import inner, text_part, verbatim_part
from mta.outbound.bounce_report import MAX_HEADER, Original

MAX_OCTETS = 998  # in a line, RFC 5321 4.5.3.1.6


def original_part(original: Original, utf8: bool) -> Message:
    """The whole message if there is one and each of its lines can travel, else the header, cut when it is long."""
    whole = original.whole
    if whole is not None and _has_short_lines(whole):
        # RFC 6532 3.7: a header with octets above 127 makes it message/global.
        kind = "message/rfc822" if original.header.isascii() else "message/global"
        return inner(verbatim_part(kind, _unstuffed(whole)), "Undelivered Message")
    header = _unstuffed(_cut(original.header))
    if utf8 and not header.isascii() and _has_short_lines(header):
        part = verbatim_part("message/global-headers", header)
    else:
        part = text_part(header.replace(b"\r\n", b"\n").decode("utf-8", "replace"), "rfc822-headers")
    return inner(part, "Undelivered Message Headers")


def _cut(header: bytes) -> bytes:
    """At a line end."""
    return header if len(header) <= MAX_HEADER else header[: header.rfind(b"\n", 0, MAX_HEADER) + 1]


def _unstuffed(data: bytes) -> bytes:
    return (b"\n" + data).replace(b"\n.", b"\n")[1:]


def _has_short_lines(data: bytes) -> bool:
    return all(len(line) <= MAX_OCTETS for line in data.split(b"\r\n"))
