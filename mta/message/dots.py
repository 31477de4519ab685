"""Dot-stuffing (RFC 5321 4.5.2): a line that begins with a dot travels with one more in front of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def stuff(data: bytes) -> bytes:
    """Whole lines with CRLF, as they are, in the form they have between DATA and the final dot."""
    stuffed = data.replace(b"\n.", b"\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def unstuff(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Undo stuff, chunk by chunk, wherever the chunks happen to be cut. The chunks begin at the start of a line."""
    line_start, held = True, b""
    for chunk in chunks:
        data = held + chunk if held else chunk
        held = b""
        if data.endswith(b"\r"):  # is it half of a line end? The next chunk tells.
            data, held = data[:-1], b"\r"
        if data:
            first = 1 if line_start and data.startswith(b".") else 0
            line_start = data.endswith(b"\r\n")
            plain = data[first:].replace(b"\r\n.", b"\r\n")
            if plain:
                yield plain
    if held:
        yield held


def with_line_ends(chunks: Iterable[bytes], line_end: bytes) -> Iterator[bytes]:
    """The chunks with another line end in place of CRLF, wherever they happen to be cut."""
    held = b""
    for chunk in chunks:
        data = held + chunk if held else chunk
        held = b"\r" if data.endswith(b"\r") else b""
        data = (data[:-1] if held else data).replace(b"\r\n", line_end)
        if data:
            yield data
    if held:
        yield held
