"""The end of data and bare newlines: every short message over the dangerous bytes, cut everywhere."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.smtp.data import END, DataDecoder, HiddenEnd, has_bare_newline

DANGEROUS = (b"\r", b"\n", b".", b"a", b"\0")


def decode(chunks: list[bytes], repair: bool = False) -> tuple[bytes, bytes, bool]:
    """The message, what followed it, and whether it had bare newlines."""
    decoder = DataDecoder(repair)
    message, rest = b"", b""
    for chunk in chunks:
        if decoder.done:
            rest += chunk
        else:
            message += decoder.feed(chunk)
    assert decoder.done
    return message, decoder.rest + rest, decoder.bare_newline


def short_messages(length: int) -> list[bytes]:
    return [b"".join(parts) for size in range(length) for parts in itertools.product(DANGEROUS, repeat=size)]


@pytest.mark.parametrize("repair", [False, True])
def test_any_cut_gives_what_no_cut_gives(repair: bool) -> None:
    for message in short_messages(6):
        data = message + END + b"NOOP\r\n"
        whole = decode([data], repair)
        assert decode([data[i : i + 1] for i in range(len(data))], repair) == whole, data
        assert decode([data[:3], data[3:]], repair) == whole, data


def test_only_crlf_dot_crlf_ends_the_data() -> None:
    for message in short_messages(6):
        data = b"\r\n" + message + END
        body, rest, _ = decode([message + END])
        assert b"\r\n" + body == data[: data.find(END) + 2]
        assert rest == data[data.find(END) + 5 :]


def test_repair_leaves_no_bare_newline_and_no_second_end_of_data() -> None:
    for message in short_messages(7):
        body, _, _ = decode([message + END], repair=True)
        assert not has_bare_newline(body), message
        assert END not in b"\r\n" + body, message


def test_sound_messages_come_through_unchanged() -> None:
    for message in (b"", b"a\r\n", b"..\r\n", b"a\r\n..b\r\n\r\n", b"\r\n", b"\xff\x00\r\n"):
        data = message + b".\r\n"
        for repair in (False, True):
            assert decode([data], repair) == (message, b"", False)


@pytest.mark.parametrize(
    "text, repaired",
    [
        (b"a\nb\r\n", b"a\r\nb\r\n"),
        (b"a\rb\r\n", b"a\r\nb\r\n"),
        (b"a\n.b\r\n", b"a\r\n..b\r\n"),
        (b"a\n.\r\n", b"a\r\n..\r\n"),
        (b"a\r\n.\nb\r\n", b"a\r\n..\r\nb\r\n"),
        (b"a\r\n.\rb\r\n", b"a\r\n..\r\nb\r\n"),
        (b"a\n\n\nb\r\n", b"a\r\n\r\n\r\nb\r\n"),
    ],
)
def test_repair(text: bytes, repaired: bytes) -> None:
    assert decode([text + b".\r\n"], repair=True) == (repaired, b"", True)


@pytest.mark.parametrize(
    "data, bare",
    [
        (b"", False),
        (b"a", False),
        (b"a\r\nb\r\n", False),
        (b"a\n", True),
        (b"a\r", True),
        (b"\ra\n", True),
        (b"a\r\r\n", True),
        (b"a\n\r", True),
        (b"\x85\xe2\x80\xa8", False),
    ],
)
def test_has_bare_newline(data: bytes, bare: bool) -> None:
    assert has_bare_newline(data) is bare


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"x" * 70, b"\r\n."]), max_size=40), st.data())
def test_random_cuts(parts: list[bytes], data: st.DataObject) -> None:
    message = b"".join(parts) + END
    cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=8)))
    chunks = [message[a:b] for a, b in itertools.pairwise([0, *cuts, len(message)]) if a < b]
    assert decode(chunks) == decode([message])


@pytest.mark.parametrize(
    ("message", "hidden"),
    [
        (b"a\r\n\0.\r\nb\r\n", True),
        (b"\0.\r\n", True),
        (b".\0\r\n", True),
        (b"x\r\n\0\0.\0\0\r\n", True),
        (b"x\r\n.\0.\r\n", False),
        (b"x\r\n..\0\r\n", False),
        (b"\0\r\n.x\0\r\n", False),
        (b"x\0.\r\n", False),
        (b"\0x.\r\n", False),
        (b"x\r\n\0\r\n", False),
    ],
)
def test_a_line_of_a_dot_and_nul_is_found_however_it_is_cut(message: bytes, hidden: bool) -> None:
    held = (b"\r", b"\r\n.")  # the decoder does not cut there
    for cut in range(len(message)):
        first = message[:cut]
        if first == b"." or first.endswith(held):
            continue
        watch = HiddenEnd()
        found = [watch.feed(piece) for piece in (first, message[cut:])]
        assert any(found) is hidden


def test_nul_by_nul_takes_no_memory() -> None:
    watch = HiddenEnd()
    assert not any(watch.feed(b"\0") for _ in range(100_000))
    assert watch.feed(b".\r\n")
