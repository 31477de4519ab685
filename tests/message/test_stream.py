"""The message stream: the same bytes come out of memory and of a file, as often as they are asked for."""

import io
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta.message.header import Header
from mta.message.stream import BLOCK, Form, MessageStream

HEADER = b"From: a@b\r\n"


def stream_of(
    body: list[bytes], directory: Path | None = None, spool_after: int = -1, name: str = "M1"
) -> MessageStream:
    stream = MessageStream(str(directory or "/nowhere"), spool_after, name)
    stream.header = Header(HEADER)
    stream.separator = True
    for chunk in body:
        stream.append(chunk)
    return stream


@pytest.fixture(params=["memory", "file"])
def spool_after(request: pytest.FixtureRequest) -> Iterator[int]:
    yield -1 if request.param == "memory" else 0


BODIES = [
    [],
    [b"one\r\n"],
    [b"one\r\n", b"..two\r\n"],
    [b"x" * 70000 + b"\r\n"] * 40,
    [b"y"] * 70000 + [b"\r\n"],
    [b"\r\n"] * 3,
    [b"z" * 3000] * 600 + [b"\r\n"],
    [b"s"] + [b"w" * 5000] * 600 + [b"\r\n"],
]


@pytest.mark.parametrize("body", BODIES)
def test_what_goes_in_comes_out(body: list[bytes], spool_after: int, tmp_path: Path) -> None:
    stream = stream_of(body, tmp_path, spool_after)
    expected = HEADER + b"\r\n" + b"".join(body)
    for _ in range(2):
        assert b"".join(stream.chunks()) == expected
        assert b"".join(stream.body_chunks()) == b"".join(body)
    assert stream.size == len(expected)
    assert stream.body_size == sum(map(len, body))
    assert stream.in_memory is (spool_after < 0 or not body)
    stream.discard()


def test_small_message_is_one_chunk() -> None:
    assert len(list(stream_of([b"x" * 100] * 50).chunks())) == 1


def test_what_is_one_chunk_is_there_in_one_piece(spool_after: int, tmp_path: Path) -> None:
    stream = stream_of([b"x"] * 2, tmp_path, spool_after)
    assert stream.in_one_piece == (b"".join(stream.chunks()) if stream.in_memory else None)
    stream.append(b"x" * BLOCK)
    assert stream.in_one_piece is None
    stream.discard()


def test_chunks_are_neither_tiny_nor_huge(spool_after: int, tmp_path: Path) -> None:
    stream = stream_of([b"x" * 50] * 20000, tmp_path, spool_after)
    sizes = [len(chunk) for chunk in stream.chunks()]
    assert len(sizes) < 40
    assert max(sizes) <= 256 * 1024
    stream.discard()


def test_dribbling_client_costs_no_memory() -> None:
    stream = MessageStream()
    for _ in range(100_000):
        stream.append(b"x")
    assert len(stream._pieces) < 512


def test_iterations_side_by_side(spool_after: int, tmp_path: Path) -> None:
    stream = stream_of([bytes([65 + i]) * 70000 for i in range(26)], tmp_path, spool_after)
    pairs = list(itertools.zip_longest(stream.chunks(), stream.chunks()))
    assert len(pairs) > 2
    assert all(left == right for left, right in pairs)
    stream.discard()


@pytest.mark.parametrize(
    ("separator", "body", "expected"),
    [(True, b"", HEADER + b"\r\n"), (False, b"", HEADER), (False, b"text\r\n", HEADER + b"\r\ntext\r\n")],
)
def test_separator(separator: bool, body: bytes, expected: bytes) -> None:
    stream = MessageStream()
    stream.header = Header(HEADER)
    stream.separator = separator
    stream.append(body)
    assert b"".join(stream.chunks()) == expected
    assert stream.size == len(expected)


def test_header_may_change_later() -> None:
    stream = stream_of([b"body\r\n"])
    stream.header.add_leading("Received", "from x")
    assert b"".join(stream.chunks()) == b"Received: from x\r\n" + HEADER + b"\r\nbody\r\n"


def test_file_only_when_the_body_is_over_the_limit(tmp_path: Path) -> None:
    stream = stream_of([b"x" * 10], tmp_path, 10)
    assert stream.in_memory
    assert not list(tmp_path.iterdir())
    stream.append(b"y")
    path = tmp_path / "M1.eml"
    assert not stream.in_memory
    assert b"".join(stream.chunks()) == HEADER + b"\r\n" + b"x" * 10 + b"y"
    assert path.read_bytes() == b"x" * 10 + b"y"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_discard_removes_the_file_once(tmp_path: Path) -> None:
    stream = stream_of([b"x"], tmp_path, 0)
    stream.discard()
    assert not list(tmp_path.iterdir())
    (tmp_path / "M1.eml").write_text("somebody else's")
    stream.discard()
    assert list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="closed"):
        list(stream.chunks())


def test_discard_while_it_is_read(tmp_path: Path) -> None:
    stream = stream_of([b"x" * 600_000], tmp_path, 0)
    chunks = stream.chunks()
    start = next(chunks) + next(chunks)
    stream.discard()
    (tmp_path / "other").write_bytes(b"other")
    with open(tmp_path / "other", "rb"):  # takes the number of the descriptor that discard() freed
        assert start + b"".join(chunks) == HEADER + b"\r\n" + b"x" * 600_000


def test_discard_keeps_a_body_in_memory() -> None:
    stream = stream_of([b"body\r\n"])
    stream.discard()
    assert b"".join(stream.body_chunks()) == b"body\r\n"


def test_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "M1.eml").write_text("precious")
    with pytest.raises(FileExistsError):
        stream_of([b"x"], tmp_path, 0)
    assert (tmp_path / "M1.eml").read_text() == "precious"


def test_no_name_is_given(tmp_path: Path) -> None:
    streams = [stream_of([b"x"], tmp_path, 0, name="") for _ in range(3)]
    assert len(list(tmp_path.iterdir())) == 3
    for stream in streams:
        stream.discard()


def test_directory_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stream_of([b"x"], tmp_path / "none", 0)


def test_no_descriptor_is_leaked(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    stream = stream_of([b"x" * 600_000], tmp_path, 0)
    for _ in range(3):
        list(stream.chunks())
        next(stream.body_chunks())  # and not to its end
    stream.discard()
    assert len(os.listdir("/proc/self/fd")) == before


MESSAGE = b"Subject: x\r\n.odd: 1\r\n\r\n.\r\n..two\r\nlast\r\n"


def test_from_message() -> None:
    stream = MessageStream.from_message(MESSAGE)
    assert stream.header.get("subject") == "x"
    assert b"".join(stream.chunks()) == b"Subject: x\r\n..odd: 1\r\n\r\n..\r\n...two\r\nlast\r\n"
    assert list(stream.lines()) == MESSAGE.splitlines(keepends=True)


def test_open(spool_after: int, tmp_path: Path) -> None:
    stream = stream_of([b"..\r\n", b"..x\r\n" * 50_000], tmp_path, spool_after)
    with stream.open() as file:
        assert file.readline() == HEADER
        assert file.read(4) == b"\r\n.\r"
        assert file.read() == b"\n" + b".x\r\n" * 50_000
        assert file.read() == b""
    stream.discard()


def test_from_message_ends_the_last_line() -> None:
    assert b"".join(MessageStream.from_message(b"A: b\r\n\r\nlast").chunks()) == b"A: b\r\n\r\nlast\r\n"
    assert b"".join(MessageStream.from_message(b"A: b").chunks()) == b"A: b\r\n"
    assert b"".join(MessageStream.from_message(b"").chunks()) == b""


@settings(deadline=None)
@given(st.lists(st.sampled_from([b".", b"\r\n", b"a", b"A: b"]), max_size=10).map(b"".join))
def test_any_message_comes_back(message: bytes) -> None:
    message += b"\r\n"
    stream = MessageStream.from_message(message)
    whole = b"".join(stream.lines())
    assert whole.replace(b"\r\n", b"") == message.replace(b"\r\n", b"")
    with stream.open() as file:
        assert file.read() == whole
    if stream.separator:
        assert whole == message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.integers(1, 9000), max_size=300), st.integers(-1, 100_000))
def test_any_sizes(tmp_path: Path, sizes: list[int], spool_after: int) -> None:
    body = [bytes([i % 256]) * size for i, size in enumerate(sizes)]
    stream = stream_of(body, tmp_path, spool_after)
    try:
        assert b"".join(stream.chunks()) == HEADER + b"\r\n" + b"".join(body)
    finally:
        stream.discard()


STUFFED = b"From: a@b\r\n\r\n..dot\r\nline\r\n"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({}, b"From: a@b\r\n\r\n.dot\r\nline\r\n"),
        ({"stuffed": True}, STUFFED),
        ({"stuffed": True, "final_dot": True}, STUFFED + b".\r\n"),
        ({"header": False}, b".dot\r\nline\r\n"),
        ({"line_end": b"\n"}, b"From: a@b\n\n.dot\nline\n"),
        ({"line_end": b"\n", "stuffed": True, "final_dot": True}, b"From: a@b\n\n..dot\nline\n.\n"),
    ],
)
def test_forms_in_which_a_message_is_read(
    form: Form, expected: bytes, spool_after: int, tmp_path: Path
) -> None:
    stream = stream_of([b".", b".dot\r", b"\nli", b"ne\r\n"], tmp_path, spool_after)
    assert stream.get_data(**form) == b"".join(stream.read(**form)) == expected
    assert stream.open(**form).read() == expected
    assert list(stream.lines(**form)) == expected.splitlines(keepends=True)
    target = io.BytesIO()
    assert stream.pipe(target, **form) == len(expected)
    assert target.getvalue() == expected


def test_lines_of_a_message_that_is_one_long_line() -> None:
    stream = stream_of([b"x" * 100_000] * 200 + [b"\r\nend\r\n"])
    assert [len(line) for line in stream.lines(header=False)] == [20_000_002, 5]


def test_a_body_can_be_replaced_by_pieces_of_itself(spool_after: int, tmp_path: Path) -> None:
    stream = stream_of([b"one\r\n", b"two\r\n"], tmp_path, spool_after)
    data = stream.body_data()
    stream.rewrite(piece for piece in (data[5:], b"", data[:5], b"three\r\n"))
    assert b"".join(stream.body_chunks()) == b"two\r\none\r\nthree\r\n"
    assert stream.body_size == 17
    assert stream.in_memory is (spool_after < 0)
    assert data[:3] == b"one"
    stream.discard()
    assert not list(tmp_path.iterdir())


def test_body_data_is_empty_when_the_body_is(spool_after: int, tmp_path: Path) -> None:
    assert stream_of([], tmp_path, spool_after).body_data() == b""


def test_what_shall_not_be_kept_is_not(tmp_path: Path) -> None:
    stream = stream_of([], tmp_path, 0)
    stream.keep = False
    stream.append(b"gone\r\n")
    assert (stream.get_data(), stream.body_size) == (HEADER + b"\r\n", 0)
    assert not list(tmp_path.iterdir())
