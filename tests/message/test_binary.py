"""Binary MIME made into lines."""

import email
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.binary import NotConvertible, is_lines, to_lines

PNG = b"\x89PNG\r\n\x1a\n\0\r\n.\r\n\n.\r\nQUIT\r\n"


def multipart(*parts: bytes, kind: bytes = b"mixed", end: bytes = b"--b--\r\n") -> bytes:
    head = (
        b"Subject: x\r\nContent-Type: multipart/"
        + kind
        + b';\r\n boundary="b"\r\nContent-Transfer-Encoding: binary\r\n\r\n'
    )
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


IMAGE = b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + PNG
TEXT = b"Content-Type: text/plain\r\n\r\nhello\r\n.\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", True), (b"a", True), (b"a\r\nb\r\n", True), (b"a\xff\r\n", True), (b"x" * 998, True),
        (b"a\n", False), (b"a\r", False), (b"a\r\n\n", False), (b"\r\r\n", False), (b"a\0b", False), (b"x" * 999, False),
    ],
)  # fmt: skip
def test_is_lines(data: bytes, expected: bool) -> None:
    assert is_lines(data) is expected


def test_what_is_lines_already_is_not_touched() -> None:
    message = multipart(TEXT)
    assert to_lines(message) is message


@pytest.mark.parametrize("body", [PNG, b"\0", b"a\nb", b"x" * 100_000, bytes(range(256)) * 100])
def test_a_single_part_becomes_base64(body: bytes) -> None:
    lines = to_lines(
        b"Subject: x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + body
    )
    assert is_lines(lines)
    read = email.message_from_bytes(lines)
    assert (read["Subject"], read["MIME-Version"], read.get_all("Content-Transfer-Encoding")) == (
        "x",
        "1.0",
        ["base64"],
    )
    assert read.get_payload(decode=True) == body


def test_only_the_parts_that_need_it_are_encoded() -> None:
    lines = to_lines(multipart(TEXT, IMAGE, b"\r\nno header\r\n"))
    assert is_lines(lines)
    _text, image, bare = email.message_from_bytes(lines).get_payload()
    assert TEXT in lines
    assert image.get_payload(decode=True) == PNG
    assert bare.get_payload() == "no header\r\n"
    assert b"binary" not in lines


def test_nested_parts() -> None:
    inner = multipart(IMAGE, kind=b"related").replace(b'"b"', b'"c"').replace(b"--b", b"--c")
    forwarded = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n" + inner
    lines = to_lines(multipart(TEXT, forwarded))
    assert is_lines(lines)
    images = [
        part for part in email.message_from_bytes(lines).walk() if part.get_content_type() == "image/png"
    ]
    assert [image.get_payload(decode=True) for image in images] == [PNG]


def test_line_ends_of_coded_parts_are_mended() -> None:
    part = b"Content-Type: image/png\r\nContent-Transfer-Encoding: Base64\r\n\r\niVBO\nRw0K\n"
    lines = to_lines(multipart(part))
    assert b"iVBO\r\nRw0K\r\n" in lines
    assert is_lines(lines)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"Subject: a\nb\r\n\r\n\0", "outside of its parts"),
        (b"Subject: a\0b\r\n\r\nx", "outside of its parts"),
        (b"\0", "header has no end"),
        (b"Content-Transfer-Encoding: x-uue\r\n\r\n\0", "unknown transfer encoding"),
        (b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n\0", "several Content-Types"),
        (multipart(IMAGE, kind=b"signed; micalg=x"), "must not be changed"),
        (multipart(IMAGE, end=b""), "has no end"),
        (multipart(IMAGE).replace(b'boundary="b"', b'border="b"'), "no boundary"),
        (multipart(IMAGE).replace(b"--b", b"--d"), "has no end"),
        (multipart(TEXT) + b"\0", "outside of its parts"),
        (b"Content-Type: message/partial\r\n\r\n\0", "no encoding but lines"),
        (b"Content-Type: message/rfc822\r\n\r\n" * 30 + b"\r\n\0", "nested too deeply"),
    ],
)
def test_what_can_not_be_converted(message: bytes, why: str) -> None:
    with pytest.raises(NotConvertible, match=why):
        to_lines(message)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"--b", b"--b--", b"\r\n", b"\n", b"\r", b"\0", b"x", b"\xff", TEXT, IMAGE, b"."]),
        max_size=20,
    )
)
def test_anything_becomes_lines_or_is_refused(pieces: list[bytes]) -> None:
    for message in (b"".join(pieces), multipart(b"".join(pieces)), b"A: b\r\n\r\n" + b"".join(pieces)):
        try:
            assert is_lines(to_lines(message))
        except NotConvertible:
            pass
