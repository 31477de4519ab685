"""The promise about contents: what arrives is what was sent, apart from header fields that were added."""

from __future__ import annotations

import re

ADDED = re.compile(rb"(?:(?:Received|Message-I[dD]|Date): [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*")
FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


def split_message(message: bytes) -> tuple[bytes, bytes]:
    """Split a message into its header block and what follows: the blank line and the body."""
    if message.startswith(b"\r\n"):
        return b"", message
    if not FIELD.match(message):
        return b"", b"\r\n" + message if message else b""  # without a header the blank line is ours to add
    end = message.find(b"\r\n\r\n")
    return (message, b"") if end < 0 else (message[: end + 2], message[end + 2 :])


def assert_same_message(sent: bytes, got: bytes) -> None:
    """Hold `got` to be `sent` with trace and missing fields added before or after the header. Raises AssertionError."""
    sent_header, sent_rest = split_message(sent)
    got_header, got_rest = split_message(got)
    assert _same(got_rest.removeprefix(b"\r\n"), sent_rest.removeprefix(b"\r\n")), _difference(
        sent_rest, got_rest
    )
    at = got_header.find(sent_header)
    assert at >= 0, f"the header was changed:\n{sent_header!r}\nbecame\n{got_header[:2000]!r}"
    for added in (got_header[:at], got_header[at + len(sent_header) :]):
        assert ADDED.fullmatch(added), f"unexpected fields were added: {added!r}"


def _same(one: bytes, other: bytes) -> bool:
    return one == other  # a bare comparison of 20 MB in an assert makes pytest explain it for minutes


def _difference(sent: bytes, got: bytes) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(sent, got, strict=False)) if a != b), min(len(sent), len(got))
    )
    window = slice(max(0, at - 30), at + 30)
    return (
        f"bodies of {len(sent)} and {len(got)} octets differ at {at}: {sent[window]!r} became {got[window]!r}"
    )
