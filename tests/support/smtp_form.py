"""What a message must be before it goes to a next hop: CRLF line ends, dots stuffed, nothing that could end it early."""

from __future__ import annotations


def assert_sound(message: bytes) -> None:
    """Hold a message in SMTP form, without its final dot, to RFC 5321 2.3.8 and 4.5.2. Raises AssertionError."""
    rest = message.replace(b"\r\n", b"")
    assert b"\r" not in rest and b"\n" not in rest, f"a bare newline was kept: {message!r}"
    assert b"\r\n.\r\n" not in b"\r\n" + message, f"an end of data was kept: {message!r}"
    assert message == b"" or message.endswith(b"\r\n"), f"no line end: {message!r}"
