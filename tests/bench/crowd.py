"""Very many clients that are connected and say nothing."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

TOGETHER = 100  # opened at once, so that no listen queue overflows
OF_AN_ADDRESS = 20_000  # clients with the same source address: it has some 28 000 ports
TIMEOUT = 60.0  # seconds


class Crowd:
    """Idle connections to one port of this machine. Use it as a context manager."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []

    def grow(self, count: int) -> None:
        """Have so many, each with its banner. Raises OSError, ValueError."""
        while len(self._sockets) < count:
            fresh = list(self._connect(min(TOGETHER, count - len(self._sockets))))
            self._sockets += fresh
            for sock in fresh:
                expect(sock, b"220")

    def greet(self) -> None:
        """Say EHLO in each and read the answer. Raises OSError, ValueError."""
        for first in range(0, len(self._sockets), TOGETHER):
            some = self._sockets[first : first + TOGETHER]
            for sock in some:
                sock.sendall(b"EHLO client.test\r\n")
            for sock in some:
                expect(sock, b"250")

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def _connect(self, count: int) -> Iterator[socket.socket]:
        for number in range(len(self._sockets), len(self._sockets) + count):
            yield socket.create_connection(("127.0.0.1", self._port), TIMEOUT, (source(number), 0))

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def source(number: int) -> str:
    """Return the address that the client of this number comes from.

    It is 127.0.0.1 as long as its ports suffice: of others Haraka asks a name server what they are called, and waits.
    """
    return f"127.0.{number // OF_AN_ADDRESS}.1"


def expect(sock: socket.socket, code: bytes) -> None:
    """Read one reply of this code that fits into a segment. Raises OSError, ValueError."""
    reply = sock.recv(4096)
    if not reply.startswith(code):
        raise ValueError(f"{code.decode()} expected, not {reply!r}")


def banner_ms(port: int) -> float:
    """Return the milliseconds from connect to the banner of one more client, which then says QUIT. Raises OSError, ValueError."""
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
        expect(sock, b"220")
        waited = (time.perf_counter() - begun) * 1000
        sock.sendall(b"QUIT\r\n")
        expect(sock, b"221")
    return waited


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
