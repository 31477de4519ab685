"""BDAT: its argument, and the octets of chunks in SMTP form."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.smtp.chunks import ChunkDecoder, parse_bdat


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("0", (0, False)),
        ("1000", (1000, False)),
        ("86 LAST", (86, True)),
        ("0  last", (0, True)),
        ("", None),
        ("LAST", None),
        ("-1", None),
        ("10LAST", None),
        ("10 LAST x", None),
        ("10 FIRST", None),
        ("0x10", None),
        ("1" * 21, None),
        ("\u0661", None),
    ],
)
def test_argument(argument: str, expected: object) -> None:
    assert parse_bdat(argument) == expected


def decoded(data: bytes, repair: bool = False, cuts: tuple[int, ...] = ()) -> tuple[bytes, bool]:
    decoder = ChunkDecoder(repair)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    out = b"".join(decoder.feed(data[a:b]) for a, b in itertools.pairwise(edges))
    return out + decoder.finish(), decoder.bare_newline


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"a\r\n", b"a\r\n"),
        (b"a", b"a\r\n"),
        (b".", b"..\r\n"),
        (b".\r\n..\r\n.a\r\n", b"..\r\n...\r\n..a\r\n"),
        (b"a\r\n.\r\nMAIL FROM:<x>\r\n", b"a\r\n..\r\nMAIL FROM:<x>\r\n"),
    ],
)
def test_sound_lines(data: bytes, expected: bytes) -> None:
    assert decoded(data) == (expected, False)
    assert decoded(data, repair=True) == (expected, False)


@pytest.mark.parametrize(
    ("data", "repaired"),
    [
        (b"a\n", b"a\r\n"),
        (b"a\r", b"a\r\n"),
        (b"a\rb\r\n", b"a\r\nb\r\n"),
        (b"a\n.\r\nb", b"a\r\n..\r\nb\r\n"),
        (b"a\r\n.\rb", b"a\r\n..\r\nb\r\n"),
        (b"a\n.\n", b"a\r\n..\r\n"),
        (b"a\r\r\n.", b"a\r\n\r\n..\r\n"),
        (b"\n\r", b"\r\n\r\n"),
    ],
)
def test_bare_newlines(data: bytes, repaired: bytes) -> None:
    assert decoded(data)[1]
    assert decoded(data, repair=True) == (repaired, True)


@given(st.text("\r\n.a", max_size=30), st.lists(st.integers(0, 30), max_size=6), st.booleans())
def test_cuts_make_no_difference_and_nothing_ends_the_message(
    text: str, cuts: list[int], repair: bool
) -> None:
    data = text.encode()
    whole, bare = decoded(data, repair)
    assert decoded(data, repair, tuple(cuts)) == (whole, bare)
    if repair or not bare:
        assert whole.endswith(b"\r\n") or not whole
        assert b"\r\n.\r\n" not in b"\r\n" + whole
        lines = whole.split(b"\r\n")
        assert not any(b"\r" in line or b"\n" in line for line in lines)
