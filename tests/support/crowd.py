"""Clients that send numbered mail whatever becomes of the server, and the account of what arrived."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator

from tests.support.client import RawClient
from tests.support.server import Server, eventually
from tests.support.sink import RecordingSink

MESSAGES = 300
CLIENTS = 10
SIZES = (0, 500, 1000, 1000, 1000, 3000, 20_000, 300_000)
DOMAINS = ("one.example.com", "two.example.com")
NUMBER = re.compile(rb"^X-Number: (\d+)\r$", re.MULTILINE)


class Crowd:
    """Clients that send until MESSAGES are acknowledged in all, whatever happens to the server meanwhile."""

    def __init__(self, server: Server, numbers: Iterator[int]) -> None:
        self.server = server
        self.numbers = numbers
        self.acknowledged: list[int] = []
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(CLIENTS)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), f"a client is stuck at {len(self.acknowledged)} messages"

    def wait_for(self, count: int) -> None:
        assert eventually(lambda: len(self.acknowledged) >= count, 20, 0.0005), len(self.acknowledged)

    def _work(self) -> None:
        while len(self.acknowledged) < MESSAGES:
            try:
                with RawClient(self.server.port, timeout=20) as client:
                    while len(self.acknowledged) < MESSAGES:
                        self._send(client)
            except (OSError, EOFError):
                time.sleep(0.02)  # the server is dead: what was under way is sent anew under another number

    def _send(self, client: RawClient) -> None:
        number = next(self.numbers)
        message = (
            b"X-Number: %d\r\n\r\n" % number
            + b"x" * 70
            + b"\r\n"
            + (b"y" * 70 + b"\r\n") * (SIZES[number % len(SIZES)] // 72)
        )
        rcpts = [f"rcpt{number}@{domain}" for domain in DOMAINS[: 1 + number % 2]]
        if client.send("sender@example.test", rcpts, message).startswith("250"):
            self.acknowledged.append(number)


def deliveries(sink: RecordingSink) -> Counter[tuple[int, str]]:
    """Count how often each message reached each recipient."""
    found: Counter[tuple[int, str]] = Counter()
    for got in sink.messages:
        match = NUMBER.search(got.wire, 0, 2000)
        assert match, got.wire[:2000]
        found.update((int(match[1]), rcpt) for rcpt in got.rcpts)
    return found


def owed(acknowledged: list[int]) -> set[tuple[int, str]]:
    return {
        (number, f"rcpt{number}@{domain}") for number in acknowledged for domain in DOMAINS[: 1 + number % 2]
    }
