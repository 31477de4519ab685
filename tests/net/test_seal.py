"""Nothing in a message may end it early at the next server."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.net.seal import seal
from mta.smtp.data import END


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", b".\r\n"),
        (b"a: b\r\n\r\nhi\r\n", b"a: b\r\n\r\nhi\r\n.\r\n"),
        (b"no line end", b"no line end\r\n.\r\n"),
        (b"..stuffed\r\n", b"..stuffed\r\n.\r\n"),
        (b"..\r\n", b"..\r\n.\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
        (b"ends with CR\r", b"ends with CR\r\n.\r\n"),
        (b"ends with LF\n", b"ends with LF\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"a\r\n.\r", b"a\r\n..\r\n.\r\n"),
        (b".\r\nRSET\r\n", b"..\r\nRSET\r\n.\r\n"),
        (b"a\r\n.\r\nMAIL FROM:<x@y.z>\r\n", b"a\r\n..\r\nMAIL FROM:<x@y.z>\r\n.\r\n"),
        (b"a\r\n.\r\n.\r\n", b"a\r\n..\r\n..\r\n.\r\n"),
        (b"a\n.\nRSET\n", b"a\r\n..\r\nRSET\r\n.\r\n"),
        (b"a\r\n.\nRSET\r\n", b"a\r\n..\r\nRSET\r\n.\r\n"),
        (b"a\n.\r\nRSET\r\n", b"a\r\n..\r\nRSET\r\n.\r\n"),
        (b"a\r.\rRSET\r\n", b"a\r\n..\r\nRSET\r\n.\r\n"),
        (b"a\r\n.\r\r\nRSET\r\n", b"a\r\n..\r\n\r\nRSET\r\n.\r\n"),
        (b"a\r\n\0.\r\nRSET\r\n", b"a\r\n\0.\r\nRSET\r\n.\r\n"),
    ],
)
def test_the_whole_and_every_cut(message: bytes, expected: bytes) -> None:
    assert b"".join(seal([message])) == expected
    for cut in range(len(message) + 1):
        assert b"".join(seal([message[:cut], message[cut:]])) == expected, cut
    assert b"".join(seal(bytes([octet]) for octet in message)) == expected


def test_sound_chunks_are_passed_on_as_they_are() -> None:
    chunks = [b"a" * 5000 + b"\r\nx", b"y\r\n", b"..\r\n"]
    assert all(out is given for out, given in zip(seal(chunks), chunks, strict=False))


@given(st.lists(st.lists(st.sampled_from([b"\r", b"\n", b".", b"x", b"\r\n"])).map(b"".join)))
def test_any_bytes_in_any_pieces_give_one_message(chunks: list[bytes]) -> None:
    sent = b"\r\n" + b"".join(seal(chunks))
    assert sent.index(END) == len(sent) - len(END)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", sent)


@given(st.lists(st.sampled_from([b"text", b"..dot", b"..", b"", b"\xff"])))
def test_a_sound_message_is_not_changed(lines: list[bytes]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    assert b"".join(seal([message])) == message + b".\r\n"
