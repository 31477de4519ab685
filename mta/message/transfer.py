"""Transfer encodings: how the contents of a part travel (RFC 2045 6), decoded block by block, and encoded again."""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)
_PADDING = re.compile(rb"=+")
# Base64 that ends and begins anew inside one part is rare; beyond this many times it is a trick.
_MAX_RUNS = 1000
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\r\n]*+\r?+\n", re.MULTILINE)
_UU_LINE = re.compile(rb"^[!-`][ -`]*+", re.MULTILINE)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LONG_LINE = re.compile(rb"[^\r\n]{991}")  # RFC 5322 2.1.1, and what other servers fold
_PAUSE_AFTER = 5000  # lines, and others get their turn
_UU = ("x-uuencode", "uuencode", "x-uue", "uue")


def decode(encoding: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The octets of a part from its lines, dots unstuffed. Never raises: what is broken is left out or stays as it is.

    encoding: the Content-Transfer-Encoding in lower case; an unknown one changes nothing.
    """
    return _DECODERS.get(encoding, iter)(blocks)


def encode(encoding: str, octets: bytes) -> tuple[bytes, str]:
    """Lines with CRLF for the octets of a text, and the encoding they are in: the one asked for, unless it cannot carry them.

    Except in base64, which keeps each octet, line ends of any kind become CRLF.
    """
    if encoding == "base64" or encoding in _UU or b"\0" in octets:
        return base64.encodebytes(octets).replace(b"\n", b"\r\n"), "base64"
    lines = _LINE_END.sub(b"\r\n", octets)
    if encoding == "quoted-printable":
        return _quoted_printable(lines), encoding
    if _LONG_LINE.search(lines) or not (lines.isascii() or encoding in ("8bit", "binary")):
        return _quoted_printable(lines), "quoted-printable"
    return lines, encoding


def _quoted_printable(octets: bytes) -> bytes:
    """octets: lines with CRLF. binascii looks at the first line end to see what it shall write, so it is given one."""
    return binascii.b2a_qp(b"\r\n" + octets, istext=True)[2:]


def _base64(blocks: Iterable[bytes]) -> Iterator[bytes]:
    held, runs_left = b"", _MAX_RUNS
    for block in blocks:
        data = held + block.translate(None, _NOT_BASE64)
        *runs, data = _PADDING.split(data, maxsplit=runs_left) if b"=" in data and runs_left else (data,)
        runs_left -= len(runs)
        yield from map(_last_quantum, runs)
        data = data.replace(b"=", b"") if not runs_left else data
        whole = len(data) // 4 * 4
        held = data[whole:]
        yield binascii.a2b_base64(data[:whole])
    yield _last_quantum(held)


def _last_quantum(data: bytes) -> bytes:
    """One run of base64 that is not padded; a character too many is dropped."""
    if len(data) % 4 == 1:
        data = data[:-1]
    return binascii.a2b_base64(data + b"==="[: -len(data) % 4])


def _from_quoted_printable(blocks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for block in blocks:
        data = held + block
        cut = data.find(b"=", max(len(data) - 2, 0))  # =XX or =CRLF may be cut here
        cut = cut if cut >= 0 else len(data)
        held = data[cut:]
        yield binascii.a2b_qp(data[:cut])
    yield binascii.a2b_qp(held)


def _uuencoded(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """What stands between `begin` and `end`; nothing when there is no `begin`."""
    data = b"".join(blocks)
    begin = _UU_BEGIN.search(data)
    if begin is None:
        return
    end = data.find(b"\nend", begin.end())
    lines = _UU_LINE.finditer(data, begin.end(), end if end >= 0 else len(data))
    for number, match in enumerate(lines, 1):
        line = match[0]
        if number % _PAUSE_AFTER == 0:
            time.sleep(0)
        try:
            yield binascii.a2b_uu(line)
        except binascii.Error:  # longer than its count says, as some encoders write it
            yield binascii.a2b_uu(line[: ((line[0] - 32 & 63) * 4 + 5) // 3])


_DECODERS: dict[str, Callable[[Iterable[bytes]], Iterator[bytes]]] = {
    "base64": _base64,
    "quoted-printable": _from_quoted_printable,
    **dict.fromkeys(_UU, _uuencoded),
}
