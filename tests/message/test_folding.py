"""Long lines: folded at the limit, the same wherever the pieces are cut, and sound lines left alone."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.message.folding import LineFolder


def folded(data: bytes, limit: int = 100, *cuts: int) -> bytes:
    folder = LineFolder(limit)
    places = [0, *sorted(cuts), len(data)]
    out = b"".join(folder.feed(data[a:b]) for a, b in pairwise(places))
    assert folder.folded is (out != data)
    return out


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"x" * 98 + b"\r\n", b"x" * 98 + b"\r\n"),
        (b"x" * 99 + b"\r\n", b"x" * 98 + b"\r\n x\r\n"),
        (b"a\r\n" + b"x" * 98 + b"\r\nb\r\n", b"a\r\n" + b"x" * 98 + b"\r\nb\r\n"),
        (b"x" * 98 * 2 + b"\r\n", b"x" * 98 + b"\r\n " + b"x" * 97 + b"\r\n x\r\n"),
        (b"a\r\n" + b"x" * 99 + b"\r\nb\r\n", b"a\r\n" + b"x" * 98 + b"\r\n x\r\nb\r\n"),
    ],
)
def test_fold(data: bytes, expected: bytes) -> None:
    assert folded(data) == expected
    for cut in range(len(data) + 1):
        if data[:cut][-1:] != b"\r":
            assert folded(data, 100, cut) == expected


@given(
    st.lists(st.integers(0, 400), max_size=8),
    st.lists(st.integers(0, 3000), max_size=6),
)
def test_lines_are_short_and_nothing_is_lost(lengths: list[int], cuts: list[int]) -> None:
    data = b"".join(b"x" * length + b"\r\n" for length in lengths)
    cuts = [cut for cut in cuts if cut <= len(data) and data[:cut][-1:] != b"\r"]
    out = folded(data, 100, *cuts)
    assert out == folded(data)
    assert out.replace(b"\r\n ", b"") == data
    assert all(len(line) <= 100 for line in out.splitlines(keepends=True))


def test_a_limit_that_is_too_small_is_not_believed() -> None:
    assert folded(b"x" * 62 + b"\r\n", 1) == b"x" * 62 + b"\r\n"


def test_one_endless_line_takes_linear_time() -> None:
    start = time.process_time()
    folded(b"x" * 5_000_000 + b"\r\n", 992, *range(0, 5_000_000, 65536))
    assert time.process_time() - start < 1
