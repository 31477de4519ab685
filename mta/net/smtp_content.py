"""A message on its way over the wire: as BDAT carries it, and what a next hop must know about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from mta.net.seal import ALL, LAST_LINE, is_sound, seal
from mta.net.smtp_errors import MessageUnreadable

HEADER_END = b"\r\n\r\n"


class MessageSource(Protocol):
    """A message in SMTP form: CRLF line ends, dots stuffed, no final dot.

    It may have an attribute `whole`: all of it, if it is one chunk in memory; and with that `sound_bytes`: so many at its end
    are known to be sound. Only what can not change may have it.
    """

    @property
    def size(self) -> int:
        """Bytes of all chunks together."""

    def chunks(self) -> Iterable[bytes]:
        """The message from its beginning, in pieces of any size."""


def readable(message: MessageSource) -> Iterator[bytes]:
    """The message's chunks; a failing disk must not look like a failing connection. Raises MessageUnreadable."""
    try:
        yield from message.chunks()
    except OSError as error:
        raise MessageUnreadable(f"cannot read the message: {error}") from error


def sealed(message: MessageSource) -> Iterable[bytes]:
    """What follows DATA: the message, looked at for the last time, with its end. Raises MessageUnreadable when it is read."""
    whole = getattr(message, "whole", None)
    sound = getattr(message, "sound_bytes", 0)
    unknown = message.size - sound if sound else ALL
    if whole is not None and is_sound(whole, unknown):
        return whole, LAST_LINE
    return seal(readable(message), unknown)


def unstuffed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A message in SMTP form as it really is (RFC 3030 2): without the dots that DATA needs, all line ends CRLF."""
    held: bytes | None = None
    at_line_start = True
    for chunk in seal(chunks):
        piece = chunk[1:] if at_line_start and chunk.startswith(b".") else chunk
        at_line_start = chunk.endswith(b"\r\n")
        if held:
            yield held
        held = piece.replace(b"\r\n.", b"\r\n")
    # The dot of the end of data has just gone as if it had been a stuffed one; its line end goes here.
    if held and len(held) > 2:
        yield held[:-2]


def in_pieces(chunks: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in pieces of about `size` and at least one, each with whether it is the last."""
    parts: list[bytes] = []
    length = 0
    for chunk in chunks:
        if length >= size:
            yield b"".join(parts), False
            parts, length = [], 0
        parts.append(chunk)
        length += len(chunk)
    yield b"".join(parts), True


def real_size(message: MessageSource) -> int:
    """Bytes of the message without stuffed dots, as SIZE counts them (RFC 1870 3). Reads it. Raises MessageUnreadable."""
    return sum(map(len, unstuffed(readable(message))))


def has_ascii_header(message: MessageSource) -> bool:
    """True when no header field of the message needs SMTPUTF8 (RFC 6532). Raises MessageUnreadable."""
    tail = b""
    for chunk in readable(message):
        data = tail + chunk
        end = data.find(HEADER_END)
        if end >= 0:
            return data[:end].isascii()
        if not data.isascii():
            return False
        tail = data[-3:]
    return True


def is_eight_bit(message: MessageSource) -> bool:
    """True when there are octets above 127 (RFC 6152). Raises MessageUnreadable."""
    return not all(map(bytes.isascii, readable(message)))
