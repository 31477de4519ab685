"""How much a client may send, and what it reads when it sends more."""

from __future__ import annotations

from typing import BinaryIO

MAX_HEADER = 16384  # bytes
MAX_BODY = 1048576  # bytes


class TooMuch(ValueError):
    """A client sends more than it may."""


def header_block(file: BinaryIO) -> bytes:
    """The header fields of a request and the empty line behind them. Raises TooMuch, ValueError when they break off."""
    lines = []
    left = MAX_HEADER
    while True:
        line = file.readline(left + 1)
        left -= len(line)
        if left < 0:
            raise TooMuch
        if not line.endswith(b"\n"):
            raise ValueError("the request breaks off")
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            return b"".join(lines)


def _refusal(status: str) -> bytes:
    body = f"{status.partition(' ')[2]}\n".encode()
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


REFUSALS = {
    status[:3]: _refusal(status)
    for status in (
        "400 Bad Request",
        "408 Request Timeout",
        "413 Content Too Large",
        "431 Request Header Fields Too Large",
    )
}
"""Whole answers by their code."""
