"""The parts of a message in another transfer encoding (RFC 2045 6), where what they are in now does not fit."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from mta.message.header import Header
from mta.message.transfer import encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

MAX_DEPTH = 20
BASE64_LINE = 76  # RFC 2045 6.8

# What is written in 7bit, 8bit or binary is the thing itself and may be encoded in another way (RFC 2045 6.2).
_AS_IT_IS: Final = frozenset({"", "7bit", "8bit", "binary"})
_CODED: Final = frozenset({"base64", "quoted-printable"})

# RFC 1847 2.1: whoever changes what was signed breaks the signature, and what was encrypted is not ours to touch.
_SEALED: Final = frozenset({"multipart/signed", "multipart/encrypted"})


class NotConvertible(ValueError):
    """The message can not be converted without damage."""


class Target(NamedTuple):
    """What a message shall be made of.

    fits: tells whether octets can stay; label: the transfer encoding of what contains other parts; leaf: the encoding for
    a part by its media type; mend: makes an encoded part fit, or raises NotConvertible.
    """

    fits: Callable[[bytes], bool]
    label: str
    leaf: Callable[[str], str]
    mend: Callable[[bytes], bytes]


def reencoded(entity: bytes, target: Target, depth: int = 0) -> bytes:
    """The message, or a part of it, with each part that does not fit encoded anew. Raises NotConvertible."""
    if depth > MAX_DEPTH:
        raise NotConvertible("its parts are nested too deeply")
    raw, separator, body = _split(entity)
    if target.fits(body):
        return entity
    header = Header(raw)
    encoding = header.get("Content-Transfer-Encoding").strip().lower()
    if encoding in _CODED:
        return raw + separator + target.mend(body)
    if encoding not in _AS_IT_IS:
        raise NotConvertible(f"unknown transfer encoding {encoding[:40]!r}")
    media = _media(header)
    kind = media.get_content_type()
    if kind in _SEALED:
        raise NotConvertible(f"{kind} must not be changed")
    if kind.startswith("multipart/"):
        return _relabel(header, target.label) + b"\r\n" + _multipart(body, _boundary(media), depth, target)
    if kind in ("message/rfc822", "message/global"):
        return _relabel(header, target.label) + b"\r\n" + reencoded(body, target, depth + 1)
    if kind.startswith("message/"):
        raise NotConvertible(f"{kind} has no encoding but lines")  # RFC 2046 5.2.2, RFC 3462
    return _leaf(header, body, depth, target.leaf(kind))


def _split(entity: bytes) -> tuple[bytes, bytes, bytes]:
    """Header with the end of its last line, the empty line, body."""
    if entity.startswith(b"\r\n"):
        return b"", b"\r\n", entity[2:]
    head, separator, body = entity.partition(b"\r\n\r\n")
    if not separator:
        raise NotConvertible("a header has no end")
    return head + b"\r\n", b"\r\n", body


def _media(header: Header) -> Message:
    """The Content-Type, with the rules of the standard library about what is missing or broken."""
    from email.message import Message  # for the few mails that are converted

    media = Message()
    values = header.get_all("Content-Type")
    if len(values) > 1:
        raise NotConvertible("a part has several Content-Types")
    if values:
        media["Content-Type"] = re.sub(r"\r?\n", "", values[0])
    return media


def _boundary(media: Message) -> bytes:
    try:
        boundary = media.get_boundary()
    except (ValueError, TypeError, LookupError):
        boundary = None
    if not boundary or not boundary.isascii():
        raise NotConvertible("a multipart has no boundary")
    return boundary.encode()


def _multipart(body: bytes, boundary: bytes, depth: int, target: Target) -> bytes:
    """Every part between two delimiters converted; what stands before and behind them is left as it is."""
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r\n|\Z)")
    return b"".join(_pieces(body, delimiter, depth, target))


def _pieces(body: bytes, delimiter: re.Pattern[bytes], depth: int, target: Target) -> Iterator[bytes]:
    end, inside = 0, False
    for match in delimiter.finditer(body):
        yield _part(body[end : match.start()], depth, target) if inside else body[end : match.start()]
        yield match[0]
        end, inside = match.end(), match[1] is None
        if not inside:
            break
    if inside or not end:
        raise NotConvertible("a multipart has no end")
    yield body[end:]


def _part(between: bytes, depth: int, target: Target) -> bytes:
    """What stands between two delimiters: the end of the first one's line, then a part."""
    if target.fits(between):
        return between
    return b"\r\n" + reencoded(between[2:], target, depth + 1)


def _leaf(header: Header, body: bytes, depth: int, encoding: str) -> bytes:
    if not depth and not header.has("MIME-Version"):
        header.add("MIME-Version", "1.0")
        if not header.has("Content-Type") and not body.isascii():
            header.add("Content-Type", "text/plain; charset=unknown-8bit")  # RFC 1428 3
    encoded = encode(encoding, body)[0] if encoding == "quoted-printable" else _base64(body)
    return _relabel(header, encoding) + b"\r\n" + encoded


def _relabel(header: Header, encoding: str) -> bytes:
    header.remove("Content-Transfer-Encoding")
    header.add("Content-Transfer-Encoding", encoding)
    return header.to_bytes()


def _base64(data: bytes) -> bytes:
    code = b2a_base64(data, newline=False)
    lines = [code[start : start + BASE64_LINE] for start in range(0, len(code), BASE64_LINE)]
    return b"\r\n".join([*lines, b""])
