"""Replies: their bytes, and reading them from a next hop."""

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.smtp.reply import MalformedReply, ProtocolError, Reply, parse_reply_line, read_reply


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(250, "OK"), b"250 OK\r\n"),
        (Reply(250, "OK", "2.1.0"), b"250 2.1.0 OK\r\n"),
        (Reply(250, ["a", "b", "c"]), b"250-a\r\n250-b\r\n250 c\r\n"),
        (Reply(550, ("a", "b"), "5.7.1"), b"550-5.7.1 a\r\n550 5.7.1 b\r\n"),
        (Reply(250, "a\nb\r\n\nc"), b"250-a\r\n250-b\r\n250 c\r\n"),
        (Reply(334, ""), b"334 \r\n"),
        (Reply(250, []), b"250 \r\n"),
        (Reply(250, "Grüße"), "250 Grüße\r\n".encode()),
        (Reply(550, "a\x00b\x1b[31mc\x85d\x7fe\u2028f\rg"), b"550 a b [31mc d e f g\r\n"),
        (Reply(550, "\ud800"), b"550 ?\r\n"),
        (Reply(550, "a\tb"), b"550 a\tb\r\n"),
    ],
)
def test_bytes(reply: Reply, expected: bytes) -> None:
    assert reply.to_bytes() == expected
    assert reply.to_bytes() == expected  # from the cache


def test_prefix() -> None:
    reply = Reply(550, ["a", "b"], "5.7.1")
    assert reply.to_bytes("[ABC@mx] ") == b"550-5.7.1 [ABC@mx] a\r\n550 5.7.1 [ABC@mx] b\r\n"
    assert reply.to_bytes() == b"550-5.7.1 a\r\n550 5.7.1 b\r\n"


def test_long_lines_are_wrapped_at_blanks() -> None:
    reply = Reply(550, "word " * 300)
    lines = reply.to_bytes().splitlines(keepends=True)
    assert len(lines) > 2
    assert all(len(line) <= 512 for line in lines)
    assert reply.text.split() == ["word"] * 300


def test_long_word_is_cut() -> None:
    reply = Reply(550, "ü" * 1000)
    assert "".join(reply.lines) == "ü" * 1000
    assert all(len(line) <= 512 for line in reply.to_bytes().splitlines())


def test_value() -> None:
    reply = Reply(250, ["one", "two"], "2.1.0")
    assert (reply.text, reply.kind, str(reply)) == ("one two", 2, "250 2.1.0 one two")
    assert str(Reply(421, "bye")) == "421 bye"
    assert reply == Reply(250, "one\ntwo", "2.1.0")
    assert reply != Reply(250, "one\ntwo", "2.1.0", close=True)
    assert reply != "250 2.1.0 one two"
    assert len({reply, Reply(250, ["one", "two"], "2.1.0"), Reply(250, "one")}) == 2
    assert pickle.loads(pickle.dumps(reply)) == reply
    with pytest.raises(AttributeError):
        reply.code = 550


def test_protocol_error_carries_the_reply() -> None:
    assert ProtocolError(Reply(501, "no")).reply.code == 501


@settings(deadline=None)
@given(st.text(), st.one_of(st.none(), st.just("5.7.1")))
def test_no_text_can_break_out_of_the_reply(text: str, enhanced: str | None) -> None:
    raw = Reply(550, text, enhanced).to_bytes()
    assert raw.endswith(b"\r\n")
    lines = raw[:-2].split(b"\r\n")
    assert all(line.startswith(b"550-") for line in lines[:-1])
    assert lines[-1].startswith(b"550 ")
    assert not any(b"\r" in line or b"\n" in line or len(line) > 510 for line in lines)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"250 OK", (250, True, "OK")),
        (b"250-OK", (250, False, "OK")),
        (b"250", (250, True, "")),
        (b"250-", (250, False, "")),
        (b"354  go", (354, True, " go")),
        (b"599 \xff", (599, True, "\ufffd")),
    ],
)
def test_reply_line(line: bytes, expected: tuple[int, bool, str]) -> None:
    assert parse_reply_line(line) == expected


@pytest.mark.parametrize(
    "line", [b"", b"25", b"2500 OK", b"150 x", b"650 x", b"25x OK", b" 250 OK", b"250OK", b"250+OK", b"hello"]
)
def test_malformed_reply_line(line: bytes) -> None:
    with pytest.raises(MalformedReply):
        parse_reply_line(line)


def reader(*lines: bytes) -> Callable[[], bytes]:
    return iter(lines).__next__


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"250 OK"], Reply(250, "OK")),
        ([b"250 2.1.0 OK"], Reply(250, "OK", "2.1.0")),
        ([b"550 5.7.26 unauthenticated"], Reply(550, "unauthenticated", "5.7.26")),
        ([b"550 5.7.266 wide"], Reply(550, "wide", "5.7.266")),
        ([b"250 2.0.0"], Reply(250, "", "2.0.0")),
        ([b"550 4.1.1 of another class"], Reply(550, "4.1.1 of another class")),
        ([b"550 5.1.1x is text"], Reply(550, "5.1.1x is text")),
        ([b"354 3.0.0 is text"], Reply(354, "3.0.0 is text")),
        ([b"550-5.1.1 a", b"550 5.1.1 b"], Reply(550, ["a", "b"], "5.1.1")),
        ([b"550-5.1.1 a", b"550 b"], Reply(550, ["a", "b"], "5.1.1")),
        ([b"550-a", b"550 5.1.1 b"], Reply(550, ["a", "b"], "5.1.1")),
        ([b"550-a", b"550-5.1.1 b", b"550 5.7.26 c"], Reply(550, ["a", "b", "c"], "5.1.1")),
        ([b"451-a", b"451 5.1.1 b"], Reply(451, ["a", "5.1.1 b"])),
        ([b"250-mx", b"250 2.0.0 x"], Reply(250, ["mx", "2.0.0 x"])),
        ([b"550 #5.1.0 Address rejected."], Reply(550, "Address rejected.", "5.1.0")),
        ([b"550 5.7.1"], Reply(550, "", "5.7.1")),
        ([b"550-", b"550 "], Reply(550, "")),
        ([b"550"], Reply(550, "")),
        (
            [b"250-mx Hello", b"250-SIZE 1000", b"250 8BITMIME"],
            Reply(250, ["mx Hello", "SIZE 1000", "8BITMIME"]),
        ),
    ],
)
def test_read_reply(lines: list[bytes], expected: Reply) -> None:
    assert read_reply(reader(*lines)) == expected


def test_reply_with_two_codes() -> None:
    with pytest.raises(MalformedReply, match="two codes"):
        read_reply(reader(b"250-a", b"550 b"))


def test_reply_without_end() -> None:
    with pytest.raises(MalformedReply, match="512"):
        read_reply(lambda: b"250-again")


@settings(deadline=None)
@given(
    st.sampled_from([250, 451, 550]), st.lists(st.text(max_size=20), min_size=1), st.sampled_from([None, "x"])
)
def test_what_is_written_is_read_back(code: int, lines: list[str], enhanced: str | None) -> None:
    reply = Reply(code, lines, enhanced and f"{code // 100}.1.10")
    wire = iter(reply.to_bytes().split(b"\r\n"))
    again = read_reply(wire.__next__)
    assert again.code == reply.code
    if enhanced:
        assert again.enhanced == reply.enhanced
