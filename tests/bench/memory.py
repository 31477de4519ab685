"""Memory: what a very large message adds while it passes, and what an idle connection costs."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.load import run
from tests.bench.servers import build
from tests.support import proc
from tests.support.server import Server
from tests.support.sink import PostfixSink

LARGE = 100 * 1024 * 1024


@dataclass
class MemoryResult:
    """One row: a figure by server, in `unit`, `per` something; it should not be above `aim`."""

    name: str
    unit: str
    per: str
    aim: float | None = None
    values: dict[str, list[float]] = field(default_factory=dict)


def raise_file_limit() -> None:
    """Let this process and the servers it starts open as many files as the system allows them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def row_names(idle: Sequence[int]) -> list[str]:
    return ["memory 100m discard", "memory 100m relay", *(f"memory idle {count}" for count in idle)]


def measure(name: str, servers: Sequence[str], work: Path, rounds: int) -> MemoryResult:
    """Measure the row of this name, a new process for each server and round."""
    large = name.startswith("memory 100m")
    result = MemoryResult(name, "MB", "growth", 8) if large else MemoryResult(name, "KB", "a connection", 10)
    for number in range(rounds):
        for server in servers:
            directory = work / f"{name.replace(' ', '-')}-{server}-{number}"
            value = (
                _large_message(server, directory, "relay" in name)
                if large
                else _idle(server, directory, name)
            )
            result.values.setdefault(server, []).append(value)
    return result


def _large_message(name: str, directory: Path, relay: bool) -> float:
    """Return by how many MB a warmed server's peak memory grows while one message of 100 MB passes."""
    with ExitStack() as stack:
        sink = stack.enter_context(PostfixSink(directory / "sink")) if relay else None
        server = stack.enter_context(build(name, directory, sink.port if sink else None, large=True))
        _warm_up(server, sink)
        before = server.rss_kib
        proc.forget_peak(server.pid)
        run(server, sink, count=1, size=LARGE, connections=1, kept=False)
        return (proc.peak_rss_kib(server.pid) - before) / 1024


def _idle(name: str, directory: Path, row: str) -> float:
    """Return how many KB each of many connections costs that have got their banner and say nothing."""
    count = int(row.rpartition(" ")[2])
    with build(name, directory, None) as server, contextlib.closing(_Crowd()) as crowd:
        _warm_up(server, None)
        before = server.rss_kib
        crowd.grow(server.port, count)
        time.sleep(0.5)
        return (server.rss_kib - before) / count


def _warm_up(server: Server, sink: PostfixSink | None) -> None:
    run(server, sink, count=200, size=1024, connections=10, kept=True)


class _Crowd:
    """Idle connections, opened a few at a time so that no listen queue overflows."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def grow(self, port: int, count: int) -> None:
        while len(self.sockets) < count:
            fresh = list(_connect(port, min(100, count - len(self.sockets))))
            self.sockets += fresh
            for sock in fresh:
                assert sock.recv(512).startswith(b"220"), "no banner"

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def _connect(port: int, count: int) -> Iterator[socket.socket]:
    for _ in range(count):
        yield socket.create_connection(("127.0.0.1", port), timeout=60)
