"""A body that the intake looked at is not looked at again when it leaves; whatever was changed since then is."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.config.schema import ConnectionSettings
from mta.inbound.intake import Intake, take_whole
from mta.message.header import Header
from mta.message.stream import MessageStream, append_checked
from mta.net.seal import is_sound, seal
from mta.net.smtp_content import sealed
from mta.outbound.hot import HotMessage
from mta.smtp.address import Address
from mta.smtp.chunks import ChunkDecoder
from mta.smtp.data import END
from mta.transaction import Transaction

MAIL = b"Subject: x\r\n\r\nfirst line\r\n..second\r\n\r\nlast\r\n"
LARGE = b"Subject: x\r\n\r\n" + b"text of a line\r\n" * 20_000
EVIL = b"\r\n.\r\nMAIL FROM:<evil@example.test>\r\n"
BARE = b"text\n.\nRSET\n"
STARTS = b".\r\nRSET\r\n"

Change = Callable[[Transaction], object]


def taken(message: bytes = MAIL, *cuts: int, **settings: object) -> Transaction:
    """A transaction whose message came by DATA, in pieces."""
    stream = MessageStream()
    intake = Intake(stream, ConnectionSettings(**settings))
    data = message + b".\r\n"
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        intake.feed(data[start:end])
    assert intake.done and intake.fault is None
    return Transaction("UUID.1", Address.parse("a@b.test"), stream)


def taken_whole(message: bytes = MAIL) -> Transaction:
    """The same by the shorter way."""
    stream = MessageStream()
    assert take_whole(message + b".\r\n", stream, ConnectionSettings(), False)
    return Transaction("UUID.1", Address.parse("a@b.test"), stream)


def sent(stream: MessageStream) -> bytes:
    """What a next hop reads after its reply to DATA."""
    hot = HotMessage.of(stream, lambda size: True)
    assert hot is not None
    return b"".join(sealed(hot))


def is_one_message(data: bytes) -> bool:
    """True when the most careless of next hops takes it for one message."""
    return (b"\r\n" + data).find(END) == len(data) - 3 and not re.search(rb"\r(?!\n)|(?<!\r)\n", data)


def filtered(transaction: Transaction, new: bytes) -> None:
    transaction.add_body_filter("", lambda *_: new)
    transaction.look_into_body()


def replaced(transaction: Transaction, body: bytes) -> None:
    transaction.message_stream = MessageStream()
    transaction.message_stream.append(body)


def emptied_and_filled(transaction: Transaction, body: bytes) -> None:
    transaction.message_stream.rewrite([])
    transaction.message_stream.append(body)


def with_header(transaction: Transaction, raw: bytes) -> None:
    transaction.message_stream.header = Header(raw)


def with_header_value(transaction: Transaction, text: bytes) -> None:
    transaction.add_header("X-Evil", text.decode())
    transaction.add_leading_header("X-Evil", text.decode())
    transaction.header.replace("Subject", text.decode())


WAYS: dict[str, Callable[[Transaction, bytes], object]] = {
    "append": lambda transaction, text: transaction.message_stream.append(text),
    "rewrite": lambda transaction, text: transaction.message_stream.rewrite([b"x\r\n", text]),
    "rewrite, one": lambda transaction, text: transaction.message_stream.rewrite([text]),
    "rewrite, then append": emptied_and_filled,
    "another stream": replaced,
    "filter": filtered,
    "banner": lambda transaction, text: (
        transaction.set_banner(text.decode()),
        transaction.look_into_body(),
    ),
    "header": with_header,
    "header value": with_header_value,
}


@pytest.mark.parametrize("take", [taken, taken_whole])
@pytest.mark.parametrize("text", [EVIL, BARE, STARTS, b"x\r", b"\nx", b"x"])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_a_plugin_does_ends_a_message_early(
    way: str, text: bytes, take: Callable[[], Transaction]
) -> None:
    transaction = take()
    assert transaction.message_stream.checked
    WAYS[way](transaction, text)
    data = sent(transaction.message_stream)
    assert is_one_message(data)
    assert data == b"".join(seal(transaction.message_stream.chunks()))


@pytest.mark.parametrize(
    "way", ["append", "rewrite", "rewrite, one", "rewrite, then append", "another stream"]
)
def test_these_ways_would_if_the_body_still_counted_as_looked_at(way: str) -> None:
    transaction = taken()
    WAYS[way](transaction, b"x" + EVIL)
    assert not transaction.message_stream.checked
    transaction.message_stream._checked = True
    assert not is_one_message(sent(transaction.message_stream))


def test_whole_lines_that_are_added_leave_as_they_were_meant() -> None:
    transaction = taken()
    transaction.add_data(b".\r\nadded\r\n")
    assert sent(transaction.message_stream).endswith(b"last\r\n..\r\nadded\r\n.\r\n")


def test_what_is_dropped_in_between_is_not_jumped_over() -> None:
    stream = MessageStream()
    append_checked(stream, b"x\r\n")
    stream.keep = False
    append_checked(stream, b"x")
    stream.keep = True
    append_checked(stream, b".\r\nRSET\r\n")
    assert is_one_message(sent(stream))


def test_a_body_that_was_rewritten_never_counts_again() -> None:
    stream = MessageStream()
    append_checked(stream, b"x\r\n")
    stream.rewrite([])
    append_checked(stream, b"x\r\n")
    assert not stream.checked


def test_what_was_appended_before_the_message_came_counts() -> None:
    stream = MessageStream()
    stream.append(b"x\r\n")
    assert take_whole(b"Subject: x\r\n\r\nmail\r\n.\r\n", stream, ConnectionSettings(), False)
    assert not stream.checked


@pytest.mark.parametrize("cuts", [(), (1000,), (70_000, 140_000), (3, 5, 200_000)])
def test_a_large_message(cuts: tuple[int, ...]) -> None:
    transaction = taken(LARGE, *cuts)
    assert transaction.message_stream.checked
    transaction.add_leading_header("X-First", "yes")
    assert sent(transaction.message_stream) == b"X-First: yes\r\n" + LARGE + b".\r\n"
    transaction.message_stream.append(EVIL)
    assert is_one_message(sent(transaction.message_stream))


def test_a_header_is_looked_at_and_where_the_body_begins() -> None:
    stream = MessageStream()
    stream.header, stream.separator = Header(b"a: b\n.\nc: d\r"), True
    append_checked(stream, b".\r\nx\r\n")  # right behind the empty line: nothing that came by DATA begins so
    assert stream.checked
    assert is_one_message(sent(stream))


def test_a_body_in_a_file_is_read_again_and_looked_at(tmp_path: Path) -> None:
    stream = MessageStream(str(tmp_path), 0)
    append_checked(stream, b"x\r\n")
    assert HotMessage.of(stream, lambda size: True) is None
    stream.discard()


@pytest.mark.parametrize("size", [10, 100_000])
def test_what_does_not_fit_is_not_kept_in_memory(size: int) -> None:
    stream = MessageStream()
    append_checked(stream, b"x" * (size - 2))  # and an empty line before it
    assert HotMessage.of(stream, lambda bytes_: bytes_ < size) is None
    hot = HotMessage.of(stream, lambda bytes_: bytes_ <= size)
    assert hot is not None and hot.size == len(b"".join(hot.chunks())) == size


def test_a_stream_itself_which_can_change_is_always_looked_at() -> None:
    stream = MessageStream()
    append_checked(stream, b"x" + EVIL)
    assert stream.checked
    assert is_one_message(b"".join(sealed(stream)))
    stream.append(b"x")
    assert is_one_message(b"".join(sealed(stream)))


def test_what_was_repaired_or_folded_is_looked_at_again() -> None:
    assert not taken(b"a: b\r\n\r\nx\n.\ny\r\n", bare_newline="repair").message_stream.checked
    assert not taken(b"a: b\r\n\r\n" + b"x" * 1000 + b"\r\n").message_stream.checked


PIECES = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"x", b"\0", b"a: b\r\n", b"\r\n.", b"x" * 70]), max_size=12
)
CUTS = st.lists(st.integers(0, 300), max_size=5)


@given(PIECES, CUTS, st.sampled_from(["reject", "repair"]), st.sampled_from([0, 64]), st.booleans())
def test_a_checked_body_is_sound(
    pieces: list[bytes], cuts: list[int], newline: str, limit: int, binary: bool
) -> None:
    stream = MessageStream()
    settings = ConnectionSettings(bare_newline=newline, data_line_length=limit)
    decoder = ChunkDecoder(newline == "repair") if binary else None
    intake = Intake(stream, settings, decoder=decoder)
    data = b"".join(pieces) + END
    places = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    for start, end in pairwise(places):
        if not intake.done:
            intake.feed(data[start:end])
    body = b"".join(stream.body_chunks())
    if intake.fault is None and stream.checked:
        assert END not in b"\r\n" + body
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", body)
    assert is_one_message(sent(stream))


@given(PIECES, PIECES, CUTS)
def test_only_what_is_not_known_is_looked_at(
    before: list[bytes], lines: list[bytes], cuts: list[int]
) -> None:
    unknown = b"".join(before)
    body = b"".join(re.sub(rb"[\r\n.]", b"", line) + b"\r\n" for line in lines)
    message = unknown + body
    places = [0, *sorted(cut for cut in cuts if cut <= len(message)), len(message)]
    chunks = [message[start:end] for start, end in pairwise(places)]
    assert is_one_message(b"".join(seal(chunks, len(unknown))))
    assert not is_sound(message, len(unknown)) or is_sound(message)


@given(PIECES, PIECES)
def test_lines_that_begin_with_a_dot_may_be_known(before: list[bytes], lines: list[bytes]) -> None:
    """Where the known part begins it may be anything that is sound by itself, as a line end and a dot."""
    unknown, body = (
        b"".join(before),
        b".\r\n" + b"".join(re.sub(rb"[\r\n.]", b"", line) + b"\r\n" for line in lines),
    )
    assert is_one_message(b"".join(seal([unknown, body], len(unknown))))
    assert not is_sound(unknown + body, len(unknown)) or is_sound(unknown + body)
