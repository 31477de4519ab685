"""The bytes at the sink are the bytes sent apart from added header fields: every size, dot, seam and octet."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.support import server
from tests.support.client import RawClient, stuff
from tests.support.compare import assert_same_message
from tests.support.server import Server
from tests.support.sink import RecordingSink

KIB = 1024
MIB = 1024 * KIB
SENDER, RCPT = "sender@example.test", "rcpt@example.com"
HEADER = b"From: <sender@example.test>\r\nSubject: contents\r\nX-Eight-Bit: \xff\xfe\xc3\xbc\r\n\r\n"
NOT_LINE_ENDS = bytes.maketrans(b"\r\n", b"..")

Path = tuple[Server, RecordingSink, RawClient]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with (
        RecordingSink() as sink,
        server.relay(tmp_path_factory.mktemp("relay"), sink.port) as relay,
        RawClient(relay.port) as client,
    ):
        yield relay, sink, client


def body(size: int, seed: int = 1) -> bytes:
    """Return lines of every octet but CR and LF, many of them beginning with dots, `size` octets in all."""
    rng = random.Random(seed)
    octets = rng.randbytes(min(size, 100_003)).translate(NOT_LINE_ENDS)
    lines = [b"." * (at // 70 % 4) + octets[at : at + 70] for at in range(0, len(octets), 70)]
    block = b"\r\n".join(lines) + b"\r\n"
    return (
        (block * (size // len(block) + 1))[: size - 2].rstrip(b"\r") + b"\r\n" if size > 2 else b"\r\n"[:size]
    )


def deliver(path: Path, message: bytes, pieces: list[bytes] | None = None) -> bytes:
    """Send a message, in these pieces of its SMTP form if given, and return what reached the sink."""
    _, sink, client = path
    before = len(sink.messages)
    reply = client.envelope(SENDER, RCPT)
    assert reply.startswith("354"), reply
    reply = client.pieces(pieces if pieces is not None else [stuff(message) + b".\r\n"])
    assert reply.startswith("250"), reply
    return sink.wait_for(before + 1, 30)[-1].data


@pytest.mark.parametrize("size", [0, 2, 3, 10, 511, 512, 1000, 4095, 4096, 4097, 65533, 65534, 65535, 65536, 65537, 65538, 65539, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB, 5 * MIB, 20_000_000])  # fmt: skip
def test_size(path: Path, size: int) -> None:
    message = HEADER + body(size - len(HEADER)) if size > len(HEADER) + 4 else body(size)
    assert_same_message(message, deliver(path, message))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"Subject: x\r\n", id="header only"),
        pytest.param(b"Subject: x\r\n\r\n", id="header and blank line"),
        pytest.param(b"\r\nbody\r\n", id="no header"),
        pytest.param(b"no header line at all\r\nbody\r\n", id="no blank line"),
        pytest.param(b".\r\n", id="a dot"),
        pytest.param(b"Subject: x\r\n\r\n\r\n\r\n\r\n", id="blank lines"),
        pytest.param(b"Subject: x\r\n y\r\n\tz\r\n\r\n" + b"l" * 990 + b"\r\n", id="folded, long line"),
        pytest.param(b"X: " + b"y" * 900 + b"\r\n" * 2 + b"\x00\r\n", id="NUL"),
    ],
)
def test_shape(path: Path, message: bytes) -> None:
    assert_same_message(message, deliver(path, message))


def test_dots_with_the_stream_cut_at_every_octet(path: Path) -> None:
    message = b"Subject: x\r\n\r\n.\r\n..\r\n...\r\n.a\r\na.\r\n\r\n.\r\n"
    wire = stuff(message) + b".\r\n"
    for cut in range(1, len(wire)):
        assert_same_message(message, deliver(path, message, [wire[:cut], wire[cut:]]))


def test_one_octet_at_a_time(path: Path) -> None:
    message = b"Subject: x\r\nY: z\r\n\r\n..\r\n.\r\n\r\n.b\r\n.\r\n"
    wire = stuff(message) + b".\r\n"
    assert_same_message(message, deliver(path, message, [wire[i : i + 1] for i in range(len(wire))]))


def filler(size: int) -> bytes:
    """Return lines without dots, `size` octets in all, the last one not ended."""
    full = (size - 1) // 72
    return (b"x" * 70 + b"\r\n") * full + b"y" * (size - 72 * full)


@pytest.mark.parametrize("boundary", [4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB, 256 * KIB])
@pytest.mark.parametrize(
    "token", [b"\r\n.\r\n", b"\r\n..\r\n", b"\r\n.x\r\n"], ids=["dot", "two dots", "dot x"]
)
def test_dots_across_chunk_seams(path: Path, boundary: int, token: bytes) -> None:
    """Put each octet of a dotted line on either side of a multiple of the sizes that servers read in."""
    for shift in range(len(token) + 2):
        message = HEADER + filler(boundary - shift - len(HEADER)) + token + b"tail\r\n"
        wire = stuff(message) + b".\r\n"
        assert_same_message(message, deliver(path, message, [wire[:boundary], wire[boundary:]]))


def test_messages_that_follow_each_other_at_once(path: Path) -> None:
    """MAIL RCPT DATA of one message right behind the final dot of the one before (RFC 2920)."""
    _, sink, client = path
    before = len(sink.messages)
    messages = [b"Subject: %d\r\n\r\n.\r\n..%d\r\n" % (n, n) for n in range(20)]
    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RCPT}>\r\nDATA\r\n".encode()
    client.write(envelope)
    for number, message in enumerate(messages):
        replies = [client.read()[:3] for _ in ("MAIL", "RCPT", "DATA")]
        assert replies == ["250", "250", "354"]
        client.write(stuff(message) + b".\r\n" + (envelope if number + 1 < len(messages) else b""))
        assert client.read().startswith("250")
    arrived = {
        got.data.partition(b"Subject: ")[2].split(b"\r\n")[0]: got
        for got in sink.wait_for(before + 20)[before:]
    }
    for number, message in enumerate(messages):
        assert_same_message(message, arrived[b"%d" % number].data)


FALSE_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\r\n\x00.\n",
    b"\n\r.\r\n",
    b"\r\r\n.\r\r\n",
]


@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
def test_only_crlf_dot_crlf_ends_a_message(path: Path, end: bytes) -> None:
    """A smuggled second message is refused with the first, whole (DESIGN: 550 5.6.0 after the end of data)."""
    relay, sink, _ = path
    before = len(sink.messages)
    smuggled = (
        b"MAIL FROM:<evil@example.test>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: evil\r\n\r\nx\r\n"
    )
    with RawClient(relay.port) as client:
        assert client.envelope(SENDER, RCPT).startswith("354")
        client.write(b"Subject: x\r\n\r\nbody" + end + smuggled + b".\r\n")
        assert client.read().startswith("550")
        assert client.command("NOOP").startswith("250")  # no further reply was under way
        assert client.send(SENDER, "next@example.com", b"Subject: next\r\n\r\nbody\r\n").startswith("250")
    arrived = sink.wait_for(before + 1)[before:]
    assert [got.rcpts for got in arrived] == [("next@example.com",)]
