"""What BDAT carries is what the next hop would have read by DATA."""

from __future__ import annotations

import random

import pytest

from mta.net.seal import seal
from mta.net.smtp_content import has_ascii_header, in_pieces, is_eight_bit, real_size, unstuffed
from tests.net.scripted_peer import Letter

CASES = [
    (b"", b""),
    (b"a\r\n", b"a\r\n"),
    (b"no end", b"no end\r\n"),
    (b"..\r\n", b".\r\n"),
    (b"..a\r\n...\r\nb.\r\n", b".a\r\n..\r\nb.\r\n"),
    (b".", b".\r\n"),
    (b"a\r\n.", b"a\r\n.\r\n"),
    (b"a\r\n..", b"a\r\n.\r\n"),
    (b"\r\n", b"\r\n"),
    (b"\r\n\r\n", b"\r\n\r\n"),
    (b"a\nb\r\n", b"a\r\nb\r\n"),
    (b"a\r", b"a\r\n"),
    (b"a\n.\n", b"a\r\n.\r\n"),
    (b"\r\n.\r\nMAIL FROM:<>\r\n", b"\r\n.\r\nMAIL FROM:<>\r\n"),
]


@pytest.mark.parametrize(("message", "expected"), CASES)
def test_unstuffed(message: bytes, expected: bytes) -> None:
    assert b"".join(unstuffed([message])) == expected
    assert real_size(Letter(message)) == len(expected)


@pytest.mark.parametrize("seed", range(200))
def test_it_is_what_data_would_have_carried_however_it_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    message = b"".join(
        chance.choices([b"\r\n", b".", b"x", b"..", b"\r\n.", b"\r", b"\n"], k=chance.randrange(14))
    )
    cuts = sorted(chance.randrange(len(message) + 1) for _ in range(chance.randrange(5)))
    chunks = [message[start:end] for start, end in zip([0, *cuts], [*cuts, len(message)], strict=True)]
    by_data = b"".join(seal(chunks)).removesuffix(b".\r\n")
    lines = by_data.split(b"\r\n")
    assert b"".join(unstuffed(chunks)) == b"\r\n".join(line.removeprefix(b".") for line in lines)


def test_pieces() -> None:
    assert list(in_pieces([], 4)) == [(b"", True)]
    assert list(in_pieces([b"ab"], 4)) == [(b"ab", True)]
    assert list(in_pieces([b"ab", b"cd", b"e"], 4)) == [(b"abcd", False), (b"e", True)]
    assert list(in_pieces([b"ab", b"cd"], 4)) == [(b"abcd", True)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((b"a: b\r\n\r\n\xff",), True),
        ((b"a: \xff\r\n\r\n",), False),
        ((b"a: b\r", b"\n", b"\r\n\xff"), True),
        ((b"a: b\r\n", b"c: \xff\r\n\r\n"), False),
        ((b"a: b",), True),
        ((b"a: \xc3",), False),
        ((), True),
    ],
)
def test_header(chunks: tuple[bytes, ...], expected: bool) -> None:
    assert has_ascii_header(Letter(*chunks)) is expected


def test_eight_bit() -> None:
    assert not is_eight_bit(Letter(b"a", b"b"))
    assert is_eight_bit(Letter(b"a", b"\x80"))
