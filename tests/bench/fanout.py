"""One message to many: recipients a second, peak memory, and the disk that it takes while it waits."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from tests.bench import hub
from tests.bench.figure import Figure
from tests.bench.load import RUN_LIMIT, LoadFailed, Sample, run, settled_cpu
from tests.bench.rows import FanoutRow
from tests.bench.servers import OURS, build
from tests.bench.throughput import Result
from tests.bench.tls_client import ask, expect
from tests.support import proc
from tests.support.server import Server, eventually
from tests.support.sink import PostfixSink

MESSAGES = 5
BATCH = 50  # commands; Haraka answers 421 to the end of 500 that come at once
BODY = 800 * (b"x" * 62 + b"\r\n")  # 50 KB


def submit(port: int, rcpts: Sequence[str], *, body: bytes = BODY, messages: int = 1) -> None:
    """Hand messages to a server over one connection, the commands in batches (RFC 2920).

    Raises ValueError for another answer than 250.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=RUN_LIMIT) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = sock.makefile("rb")
        expect(sock, "220")
        ask(sock, "EHLO client.test", "250")
        for _ in range(messages):
            _transaction(sock, replies, rcpts, body)
        sock.sendall(b"QUIT\r\n")


def _transaction(sock: socket.socket, replies: BinaryIO, rcpts: Sequence[str], body: bytes) -> None:
    envelope = ["MAIL FROM:<sender@example.test>", *(f"RCPT TO:<{rcpt}>" for rcpt in rcpts), "DATA"]
    for first in range(0, len(envelope), BATCH):
        batch = envelope[first : first + BATCH]
        sock.sendall("".join(line + "\r\n" for line in batch).encode())
        for command in batch:
            reply = replies.readline()
            if not reply.startswith(b"354" if command == "DATA" else b"250"):
                raise ValueError(f"{command}: {reply!r}")
    sock.sendall(b"Subject: many\r\n\r\n" + body + b".\r\n")
    reply = replies.readline()
    if not reply.startswith(b"250"):
        raise ValueError(f"end of data: {reply!r}")


def pass_through(server: Server, sink: PostfixSink, row: FanoutRow, messages: int) -> Sample:
    """Hand in messages one after the other and wait until every recipient's copy has left. Raises LoadFailed."""
    before, cpu, start = sink.count, server.cpu_seconds, time.monotonic()
    for _ in range(messages):
        submit(server.port, row.rcpts)
    wanted = before + messages * row.domains
    if not eventually(lambda: sink.count >= wanted and not server.waiting(), RUN_LIMIT, 0.01):
        raise LoadFailed(
            f"{sink.count - before} of {wanted - before} deliveries, waiting: {len(server.waiting())}"
        )
    seconds = time.monotonic() - start
    return Sample(messages * len(row.rcpts), seconds, settled_cpu(server) - cpu)


def disk_bytes(directory: Path) -> int:
    """Return what a directory takes on the disk; a file with two names counts once."""
    files = [os.stat(os.path.join(root, name)) for root, _, names in os.walk(directory) for name in names]
    return sum(blocks for _, blocks in {(stat.st_ino, stat.st_blocks * 512) for stat in files})


def measure(row: FanoutRow, names: Sequence[str], work: Path, rounds: int) -> tuple[Result, list[Figure]]:
    """Measure a row, new processes for each server and round."""
    result = Result(row)
    peak = Figure(f"{row.name} peak", "MB", "growth")
    disk = Figure(f"{row.name} queue", "MB", "on disk")
    for number in range(rounds):
        for name in names:
            directory = work / f"{row.name.replace(' ', '-')}-{name}-{number}"
            try:
                sample, growth = _moving(name, directory / "moving", row, result.hub)
                held = _held(name, directory / "held", row)
            except (LoadFailed, ValueError, OSError) as error:
                result.failures[name] = str(error)
                continue
            result.samples.setdefault(name, []).append(sample)
            peak.values.setdefault(name, []).append(growth)
            disk.values.setdefault(name, []).append(held)
    return result, [peak, disk]


def _moving(name: str, directory: Path, row: FanoutRow, held: list[hub.Part]) -> tuple[Sample, float]:
    """Some messages' sample, and by how many MB a warmed server's memory grows at most while they pass."""
    with ExitStack() as stack:
        sink = stack.enter_context(PostfixSink(directory / "sink"))
        server = stack.enter_context(build(name, directory, sink.port))
        run(server, sink, count=200, size=1024, connections=10, kept=True)
        before = server.rss_kib
        proc.forget_peak(server.pid)
        with hub.watching(row.name, server if name == OURS else None, held):
            sample = pass_through(server, sink, row, MESSAGES)
        return sample, (proc.peak_rss_kib(server.pid) - before) / 1024


def _held(name: str, directory: Path, row: FanoutRow) -> float:
    """The MB that the queue takes while one message waits in it because delivery is paused."""
    with ExitStack() as stack:
        sink = stack.enter_context(PostfixSink(directory / "sink"))
        server = stack.enter_context(build(name, directory, sink.port, paused=True))
        submit(server.port, row.rcpts)
        time.sleep(0.5)  # what only looks like waiting would have left by now
        if sink.count:
            raise LoadFailed("mail left though delivery is paused")
        return disk_bytes(server.queue) / 1024 / 1024
