"""8 bit MIME made into 7 bit (RFC 6152 3), for a next hop that takes nothing else."""

from __future__ import annotations

from typing import Final, NoReturn

from mta.message.reencode import NotConvertible, Target, reencoded

__all__ = ["NotConvertible", "to_seven_bit"]


def to_seven_bit(message: bytes) -> bytes:
    """Give the message with each part that has octets above 127 as quoted-printable or base64; the others stay as they are.

    message: header and body with CRLF, dots not stuffed. Raises NotConvertible: for what was signed or encrypted
    (RFC 1847), and for a header outside of ASCII. A DKIM signature of the body breaks (RFC 6376 5.3).
    """
    if message.isascii():
        return message
    converted = reencoded(message, _SEVEN_BIT)
    if not converted.isascii():
        raise NotConvertible("there are octets above 127 outside of its parts, as in a header")
    return converted


def _leaf(kind: str) -> str:
    return "quoted-printable" if kind.startswith("text/") else "base64"


def _broken(body: bytes) -> NoReturn:
    raise NotConvertible("a part has octets above 127 though it is encoded")


_SEVEN_BIT: Final = Target(bytes.isascii, "7bit", _leaf, _broken)
