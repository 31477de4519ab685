"""Starting: from exec to the first banner, with nothing to do, and with very many entries in the queue."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.bench import hub
from tests.bench.figure import Figure, all_of
from tests.bench.servers import HARAKA, OURS, build
from tests.bench.stuffed_queue import StuffedQueue
from tests.support import proc
from tests.support.server import Server

REACH_SECONDS = 0.5
PAUSE = 0.002  # seconds between two looks
START_LIMIT = 20.0  # seconds
QUEUE_LIMIT = 240.0  # seconds, for a server with a long queue
MANY, VERY_MANY = 100_000, 1_000_000
LOADED = {
    OURS: "queue loaded",
    HARAKA: "files in my temp fail queue",
}  # what they log when the names are read
INFO = {"log.ini": "[main]\nlevel=info\n"}


def measure_start(servers: Sequence[str], work: Path, rounds: int) -> Sequence[Figure]:
    """Measure `start to banner`, a new process for each server and round; the first start compiles the sources of ours."""

    def once(name: str, number: int) -> list[float]:
        server = build(name, work / f"start-{name}-{number}", None)
        server.env.pop("PYTHONDONTWRITEBYTECODE", None)
        with started(server) as (_, begun):
            return [wait_for(server, begun, START_LIMIT, lambda: greets(server.port))]

    for name in servers:
        once(name, -1)
    return all_of([Figure("start to banner", "s", "", REACH_SECONDS)], servers, rounds, once)


def measure_queue(
    count: int, servers: Sequence[str], work: Path, rounds: int, held: list[hub.Part]
) -> Sequence[Figure]:
    """Measure start-up with so many entries in the queue: seconds to the banner and until all names are read, and memory.

    held: gets how long our event loop was held meanwhile.
    """
    name = f"queue start-up {short(count)}"
    figures = [
        Figure(f"{name} banner", "s", ""),
        Figure(f"{name} loaded", "s", ""),
        Figure(f"{name} memory", "MB", "at most"),
    ]

    def once(server: str, number: int) -> list[float]:
        return start_with_queue(server, work / f"queue-{count}-{server}-{number}", count, held)

    return all_of(figures, servers, rounds, once)


def start_with_queue(name: str, directory: Path, count: int, held: list[hub.Part]) -> list[float]:
    """Return what one start gives. Raises RuntimeError."""
    server = build(name, directory, None, extra=INFO)
    with StuffedQueue(server.queue, count), started(server) as (_, begun):
        banner = wait_for(server, begun, QUEUE_LIMIT, lambda: greets(server.port))
        loaded = wait_for(server, begun, QUEUE_LIMIT, lambda: LOADED[name] in server.log)
        if name == OURS:
            hub.add(held, hub.since_start(f"queue start-up {short(count)}", server))
        return [banner, loaded, proc.peak_rss_kib(server.pid) / 1024]


@contextmanager
def started(server: Server) -> Iterator[tuple[Server, float]]:
    """The process, and when it was started; it need not greet before it is ended."""
    begun = time.monotonic()
    server.spawn()
    try:
        yield server, begun
    finally:
        server.stop()


def wait_for(server: Server, begun: float, limit: float, happened: Callable[[], bool]) -> float:
    """Return the seconds from `begun` until it happened. Raises RuntimeError when the server ends first, or takes too long."""
    while not happened():
        if server.returncode is not None:
            raise RuntimeError(f"exit status {server.returncode}: {server.log.strip()[-200:]}")
        if time.monotonic() - begun > limit:
            raise RuntimeError(f"not within {limit:.0f} s")
        time.sleep(PAUSE)
    return time.monotonic() - begun


def greets(port: int) -> bool:
    """Say whether there is a banner."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=QUEUE_LIMIT) as sock:
        return sock.recv(512).startswith(b"220")
    return False


def short(count: int) -> str:
    """Return a round number as people write it: 100k, 1M."""
    for unit, letter in ((1_000_000, "M"), (1000, "k")):
        if count >= unit and count % unit == 0:
            return f"{count // unit}{letter}"
    return str(count)
