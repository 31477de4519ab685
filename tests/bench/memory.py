"""Memory: what a very large message adds while it passes."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.figure import Figure
from tests.bench.load import run
from tests.bench.servers import build
from tests.support import proc
from tests.support.server import Server
from tests.support.sink import PostfixSink

LARGE = 100 * 1024 * 1024


def raise_file_limit() -> None:
    """Let this process and the servers it starts open as many files as the system allows them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


ROW_NAMES = ("memory 100m discard", "memory 100m relay")


def measure(name: str, servers: Sequence[str], work: Path, rounds: int) -> Figure:
    """Measure the row of this name, a new process for each server and round."""
    result = Figure(name, "MB", "growth", 8)
    for number in range(rounds):
        for server in servers:
            directory = work / f"{name.replace(' ', '-')}-{server}-{number}"
            result.add(server, _large_message(server, directory, "relay" in name))
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


def _warm_up(server: Server, sink: PostfixSink | None) -> None:
    run(server, sink, count=200, size=1024, connections=10, kept=True)
