"""Idle connections: what each costs, and how well the server serves others meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import hub
from tests.bench.crowd import Crowd, banner_ms, percentile
from tests.bench.figure import Figure, all_of
from tests.bench.load import run
from tests.bench.servers import OURS, build
from tests.support.server import Server

REACH_KB = 10.0
LATECOMERS = 200  # clients that come while the others are idle
QUIET_SECONDS = 3.0  # for which nobody does anything


def figures(count: int) -> list[Figure]:
    """Return the figures of so many idle connections, without values."""
    name = f"idle {count}"
    return [
        Figure(f"{name} banner", "KB", "a connection", REACH_KB),
        Figure(f"{name} ehlo", "KB", "a connection", REACH_KB),
        Figure(f"{name} banner p50", "ms", ""),
        Figure(f"{name} banner p99", "ms", ""),
        Figure(f"{name} CPU", "%", "of a processor"),
    ]


def measure(
    count: int, servers: Sequence[str], work: Path, rounds: int, held: list[hub.Part]
) -> Sequence[Figure]:
    """Measure the figures, a new process for each server and round. held: gets how long our event loop was held."""
    return all_of(
        figures(count),
        servers,
        rounds,
        lambda server, number: once(server, work / f"idle-{count}-{server}-{number}", count, held),
    )


def once(name: str, directory: Path, count: int, held: list[hub.Part]) -> list[float]:
    """Return memory after the banner and after EHLO, banner latency, and CPU. Raises OSError, ValueError."""
    with build(name, directory, None) as server, Crowd(server.port) as crowd:
        run(server, None, count=200, size=1024, connections=10, kept=True)
        time.sleep(0.5)  # a server may still load what its first banner needs not
        before = server.rss_kib
        with hub.watching(f"idle {count}", server if name == OURS else None, held):
            crowd.grow(count)
            time.sleep(0.5)
            banner = (server.rss_kib - before) / count
            crowd.greet()
            time.sleep(0.5)
            ehlo = (server.rss_kib - before) / count
            cpu = quiet_cpu(server)
        waits = [banner_ms(server.port) for _ in range(LATECOMERS)]
        return [banner, ehlo, percentile(waits, 50), percentile(waits, 99), cpu]


def quiet_cpu(server: Server) -> float:
    """Return how much of a processor a server takes that nobody asks anything, in percent."""
    cpu, begun = server.cpu_seconds, time.monotonic()
    time.sleep(QUIET_SECONDS)
    return (server.cpu_seconds - cpu) * 100 / (time.monotonic() - begun)
