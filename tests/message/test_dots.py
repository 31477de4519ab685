"""Dot-stuffing, and undoing it wherever the chunks are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.dots import stuff, unstuff

DOTTY = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"a", b"\r", b"\n"]), max_size=12).map(b"".join)


@pytest.mark.parametrize(
    ("plain", "stuffed"),
    [
        (b"", b""),
        (b"a\r\n", b"a\r\n"),
        (b".\r\n", b"..\r\n"),
        (b".a\r\n.\r\n..\r\n", b"..a\r\n..\r\n...\r\n"),
        (b"a.\r\n.b\r\n", b"a.\r\n..b\r\n"),
    ],
)
def test_stuff(plain: bytes, stuffed: bytes) -> None:
    assert stuff(plain) == stuffed
    assert b"".join(unstuff([stuffed])) == plain


def test_a_dot_that_was_not_stuffed_goes_too() -> None:  # RFC 5321 4.5.2
    assert b"".join(unstuff([b".a\r\n.b\r\n"])) == b"a\r\nb\r\n"


@settings(deadline=None)
@given(DOTTY.map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"\r\n")), st.integers(1, 4))
def test_there_and_back_in_any_cut(plain: bytes, cut: int) -> None:
    stuffed = stuff(plain)
    assert not stuffed.startswith(b".\r\n")
    assert b"\r\n.\r\n" not in stuffed
    chunks = [stuffed[i : i + cut] for i in range(0, len(stuffed), cut)]
    assert b"".join(unstuff(chunks)) == plain


@settings(deadline=None)
@given(DOTTY, st.integers(1, 4))
def test_the_cut_never_matters(data: bytes, cut: int) -> None:
    chunks = [data[i : i + cut] for i in range(0, len(data), cut)]
    assert b"".join(unstuff(chunks)) == b"".join(unstuff([data]))
