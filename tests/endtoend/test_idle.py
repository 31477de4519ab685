"""Thousands of clients that only sit there: what they cost, and how soon the next one is greeted."""

from __future__ import annotations

import re
import resource
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.endtoend.conftest import RelayTo
from tests.support.server import Server

MOST_MEGABYTES = 300
MOST_SECONDS = 0.1


@contextmanager
def many_files() -> Iterator[int]:
    """Open as many files as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def greeted(port: int) -> socket.socket:
    """A client that has read its banner."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    banner = sock.recv(512)
    assert banner.startswith(b"220 "), banner
    return sock


def banner_seconds(port: int) -> float:
    """How long a new client waits for its banner, connection included."""
    started = time.perf_counter()
    greeted(port).close()
    return time.perf_counter() - started


def sit_idle(server: Server, count: int) -> None:
    empty = server.rss_kib
    idle: list[socket.socket] = []
    try:
        for number in range(count):
            idle.append(greeted(server.port))
            if number % 2:  # half of them have said hello, which costs more than nothing
                idle[-1].sendall(b"EHLO client.test\r\n")
                assert idle[-1].recv(2048).startswith(b"250")
        waits = sorted(banner_seconds(server.port) for _ in range(50))
        full = server.rss_kib
        print(
            f"\n{count} idle: RSS {full / 1024:.0f} MB, {(full - empty) / count:.1f} KB each; "
            f"banner median {statistics.median(waits) * 1000:.1f} ms, worst {waits[-1] * 1000:.1f} ms"
        )
        assert full < MOST_MEGABYTES * 1024
        assert statistics.median(waits) < MOST_SECONDS
        for sock in (idle[0], idle[-1]):
            sock.sendall(b"NOOP\r\n")
            assert sock.recv(512).startswith(b"250")
    finally:
        for sock in idle:
            sock.close()


@pytest.mark.parametrize(
    "count", [1000, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(240)])]
)
def test_idle_clients(relay_to: RelayTo, count: int) -> None:
    with many_files() as files:
        if files < count + 200:
            pytest.skip(f"only {files} files may be open here (ulimit -Hn)")
        server = relay_to(9, config={"log.ini": "[main]\nlevel=notice\n"})
        sit_idle(server, count)


def test_the_table_of_files_need_not_grow(relay_to: RelayTo) -> None:
    """When it is full the kernel makes a larger one, and a process with threads stands still until it may use that."""
    server = relay_to(9)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    status = Path(f"/proc/{server.pid}/status").read_text()
    assert int(re.search(r"^FDSize:\t(\d+)", status, re.M)[1]) >= min(hard, 1 << 15)
