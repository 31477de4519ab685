"""8 bit messages made into 7 bit: what comes out is ASCII, and reads the same."""

from __future__ import annotations

import email
import email.policy

import pytest

from mta.message.seven_bit import NotConvertible, to_seven_bit

UMLAUTS = "Grüße aus Köln = 5 €\r\n.\r\nzweite Zeile \r\n".encode()
HEAD = b"From: a@b.test\r\nMIME-Version: 1.0\r\n"
TEXT = HEAD + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + UMLAUTS
IMAGE = bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"
MIXED = (
    HEAD
    + b"Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--x\r\n"
    + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + UMLAUTS
    + b"\r\n--x\r\nContent-Type: text/plain\r\n\r\nplain  \r\n--x\r\nContent-Type: image/gif\r\n\r\n"
    + IMAGE
    + b"\r\n--x--\r\n"
)


def contents(message: bytes) -> list[bytes]:
    """The octets of each part, decoded."""
    parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
    return [part.get_payload(decode=True) for part in parsed.walk() if not part.is_multipart()]


def encodings(message: bytes) -> list[str]:
    parsed = email.message_from_bytes(message)
    return [part.get("Content-Transfer-Encoding", "").lower() for part in parsed.walk()]


def test_ascii_stays_as_it_is() -> None:
    message = b"Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx = y\r\n"
    assert to_seven_bit(message) is message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (TEXT, ["quoted-printable"]),
        (MIXED, ["7bit", "quoted-printable", "", "base64"]),
        (HEAD + b"Content-Type: message/rfc822\r\n\r\n" + TEXT, ["7bit", "quoted-printable"]),
        (b"Subject: no mime\r\n\r\n" + UMLAUTS, ["quoted-printable"]),
    ],
)
def test_it_reads_the_same(message: bytes, expected: list[str]) -> None:
    converted = to_seven_bit(message)
    assert converted.isascii()
    assert encodings(converted) == expected
    assert contents(converted) == contents(message)
    assert max(map(len, converted.split(b"\r\n"))) <= 80
    assert converted.count(b"\n") == converted.count(b"\r\n") == converted.count(b"\r")


def test_parts_that_fit_are_not_touched() -> None:
    converted = to_seven_bit(MIXED)
    assert b"\r\n--x\r\nContent-Type: text/plain\r\n\r\nplain  \r\n--x\r\n" in converted
    assert converted.startswith(HEAD) and b"\r\n\r\npreamble\r\n--x\r\n" in converted


def test_text_of_old_programs_is_labelled() -> None:
    parsed = email.message_from_bytes(to_seven_bit(b"Subject: x\r\n\r\n\xe4\r\n"))
    assert (parsed["MIME-Version"], parsed["Content-Type"]) == ("1.0", "text/plain; charset=unknown-8bit")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("Subject: ü\r\n\r\nx\r\n".encode(), "outside of its parts"),
        (HEAD + b"Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\n\xe4\r\n--x--\r\n", "must not be changed"),
        (HEAD + b"Content-Type: multipart/encrypted; boundary=x\r\n\r\n--x\r\n\r\n\xe4\r\n--x--\r\n", "must not be changed"),
        (HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n\xe4\r\n--x\r\n\r\na\r\n--x--\r\n", "outside of its parts"),
        (HEAD + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n\xe4\r\n", "no end"),
        (HEAD + b"Content-Type: multipart/mixed\r\n\r\n\xe4\r\n", "no boundary"),
        (HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n\xe4\r\n", "though it is encoded"),
        (HEAD + b"Content-Transfer-Encoding: x-zip\r\n\r\n\xe4\r\n", "unknown transfer encoding"),
        (HEAD + b"Content-Type: message/partial\r\n\r\n\xe4\r\n", "no encoding"),
        (b"Subject: \xe4", "no end"),
        (HEAD + (b"Content-Type: message/rfc822\r\n\r\n" * 30) + b"\r\n\xe4\r\n", "nested too deeply"),
    ],
)  # fmt: skip
def test_what_can_not_be_converted(message: bytes, why: str) -> None:
    with pytest.raises(NotConvertible, match=why):
        to_seven_bit(message)
