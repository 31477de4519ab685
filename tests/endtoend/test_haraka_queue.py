"""A queue directory changes hands between Haraka 3.1.6 and this server, both ways."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.endtoend.conftest import check_end
from tests.support import haraka_js, server
from tests.support.client import RawClient
from tests.support.compare import assert_same_message
from tests.support.needs import npm_haraka
from tests.support.ports import free_port
from tests.support.server import Server, eventually
from tests.support.sink import RecordingSink

MESSAGE = b"From: <a@example.test>\r\nSubject: kept\r\nMessage-Id: <1@client.test>\r\nDate: Sun, 22 Nov 2026 01:21:39 +0000\r\n\r\n"
BODIES = {
    "plain": b"one line\r\n",
    "dots": b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
    "empty": b"",
    "eight-bit": bytes(octet for octet in range(256) if octet not in b"\r\n") + b"\r\n",
    "long": (b"x" * 70 + b"\r\n.dot\r\n") * 30_000,
}
# What is sent: reverse-path, forward-paths, body.
MAIL = [
    *(("sender@example.test", [f"{name}@example.com"], name) for name in BODIES),
    ("", ["null@example.com"], "plain"),
    ("sender@example.test", ["a@one.test", "b@one.test", "c@two.test"], "plain"),
    ('"a b"@example.test', ['"c,d"@example.com', "o'brien+tag=x@example.com"], "plain"),
    ("grüße@example.test", ["empfänger@example.com"], "plain"),
]
ENTRIES = len(MAIL) + 1  # one message goes to two domains


@pytest.fixture(autouse=True)
def haraka() -> None:
    npm_haraka()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def fill(first: Server) -> None:
    """Send all mail to a server that cannot deliver it."""
    with RawClient(first.port) as client:
        for mail_from, rcpts, body in MAIL:
            params = "" if "".join([mail_from, *rcpts]).isascii() else " SMTPUTF8"
            reply = client.send(mail_from, rcpts, MESSAGE + BODIES[body], params)
            assert reply.startswith("250"), reply


def hand_over(first: Server, second: Server) -> None:
    """Give the queue directory of a stopped server to another."""
    shutil.copytree(first.queue, second.queue)


def check(sink: RecordingSink, second: Server) -> None:
    """Hold the sink to every recipient once, the envelope and the contents as sent."""
    sink.wait_for(ENTRIES, 20)
    assert second.wait_until_idle()
    assert second.entries() == []
    for mail_from, rcpts, body in MAIL:
        for rcpt in rcpts:
            [got] = sink.to(rcpt)
            assert got.mail_from == mail_from
            assert_same_message(MESSAGE + BODIES[body], got.data)
    assert len(sink.messages) == ENTRIES


@pytest.mark.parametrize("attempts", [0, 1], ids=["untried", "deferred"])
def test_from_haraka(attempts: int, tmp_path: Path, sink: RecordingSink, stack: ExitStack) -> None:
    config = {} if attempts else {"outbound.ini": "[main]\ndisabled=true\n"}
    first = haraka_js.relay(tmp_path / "haraka", free_port(), config)
    with first:
        fill(first)
        assert eventually(lambda: len(first.waiting()) == ENTRIES)
        assert not attempts or eventually(first.deferred)
    second = server.relay(tmp_path / "ours", sink.port)
    hand_over(first, second)
    stack.callback(second.kill)
    second.start()
    check(sink, second)
    check_end(second)


def test_to_haraka(tmp_path: Path, sink: RecordingSink) -> None:
    first = server.relay(tmp_path / "ours", free_port())
    with first:
        fill(first)
        assert eventually(lambda: len(first.waiting()) == ENTRIES and first.deferred())
    check_end(first)
    assert len(first.waiting()) == ENTRIES
    second = haraka_js.relay(tmp_path / "haraka", sink.port)
    hand_over(first, second)
    with second:
        second.flush()  # without it Haraka takes five seconds longer than the names say
        check(sink, second)
