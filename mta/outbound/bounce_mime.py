"""The MIME parts of a report, made by the standard library so that any transport can carry them.

Not by its email.mime: that brings email.policy along, with a parser of headers that took a twentieth of the start.
"""

from __future__ import annotations

from email.charset import QP, Charset
from email.header import Header as EncodedWords
from email.message import Message
from typing import Any

MAX_LINE = 990  # bytes; RFC 5322 2.1.1 allows 998
MAX_VALUE = 900  # bytes of one field value, which may become one line

POLICY = Message().policy.clone(linesep="\r\n", cte_type="8bit", mangle_from_=False)
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP


class Verbatim(Message):
    """A part whose content is passed on as it stands.

    The generator takes the content of message/* apart, unless it believes that it is text.
    """

    def get_content_maintype(self) -> str:
        """Always text."""
        return "text"


def verbatim_part(content_type: str, content: bytes) -> Message:
    """A part of any type with exactly that content, which has no line of more than 998 octets."""
    part = Verbatim(policy=POLICY)
    part["Content-Type"] = content_type
    if not content.isascii():
        part["Content-Transfer-Encoding"] = "8bit"
    part.set_payload(content.decode("ascii", "surrogateescape"))
    return part


def text_part(text: str, subtype: str) -> Message:
    """A text part whose lines may travel anywhere: as it is when that is 7 bit, else quoted-printable."""
    part = Message(policy=POLICY)
    part["Content-Type"] = f"text/{subtype}"
    if text.isascii() and all(len(line) < MAX_LINE for line in text.split("\n")):
        part.set_payload(text, "us-ascii")
    else:
        part.set_payload(text.encode("utf-8", "replace").decode("utf-8"), _UTF8)
    return inner(part)


def multipart(subtype: str, boundary: str, *parts: Message, **params: Any) -> Message:
    """A multipart of these parts; params: further parameters of its Content-Type."""
    made = Message(policy=POLICY)
    made.add_header("Content-Type", f"multipart/{subtype}", **params, boundary=boundary)
    made["MIME-Version"] = "1.0"
    for part in parts:
        made.attach(part)
    return made


def inner(part: Message, description: str = "") -> Message:
    """The part as it stands inside of another: without MIME-Version, and with a description for people."""
    if description:
        part["Content-Description"] = description
    del part["MIME-Version"]
    return part


def field_value(value: str, utf8: bool) -> str:
    """A field value for the generator: ASCII as it is, else raw UTF-8 (RFC 6532) or encoded words (RFC 2047)."""
    value = cut(value, MAX_VALUE)
    if value.isascii():
        return value
    if utf8:
        return value.encode("utf-8", "replace").decode("ascii", "surrogateescape")
    return EncodedWords(value.encode("utf-8", "replace").decode("utf-8"), "utf-8").encode(linesep="\r\n")


def cut(text: str, size: int) -> str:
    """The text, or its beginning when it has more than so many bytes in UTF-8."""
    if len(text) * 4 <= size:
        return text
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= size else raw[:size].decode("utf-8", "ignore") + "..."
