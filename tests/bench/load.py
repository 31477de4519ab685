"""The load: Postfix's smtp-source, the same for every server, and what one run of it cost the server."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import Protocol

from tests.support import proc
from tests.support.needs import find_program
from tests.support.server import eventually

RUN_LIMIT = 300.0  # seconds after which a run counts as failed
WARM_UP_BATCH = 500
WARM_UP_SECONDS = 10.0  # enough for a server that a delay at each message holds up


class LoadFailed(Exception):
    """smtp-source gave up, mail did not arrive, or a server can not be had here."""


class Loaded(Protocol):
    """A running server: where it listens, its first process, and the processor time of that and all below it."""

    @property
    def port(self) -> int: ...

    @property
    def pid(self) -> int: ...

    @property
    def cpu_seconds(self) -> float: ...


class Counting(Protocol):
    """A next hop that knows how many messages are settled."""

    @property
    def port(self) -> int: ...

    @property
    def count(self) -> int: ...


@dataclass(frozen=True)
class Sample:
    """One run: messages a second from the first connect to the last delivery, and server CPU a message.

    rss_mb: the greatest memory of its processes in the run. p50_ms, p99_ms: from before connect to the arrival at the next hop,
    where that was measured.
    """

    messages: int
    seconds: float
    cpu_seconds: float
    rss_mb: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu_seconds * 1000 / self.messages


def send(port: int, *, count: int, size: int, connections: int, kept: bool, numbered: bool = False) -> None:
    """Send `count` messages of `size` octets; `kept` connections carry many messages. Raises LoadFailed.

    numbered: each recipient has a number of its own before its name.
    """
    command = [str(find_program("smtp-source")), "-s", str(connections), "-m", str(count), "-l", str(size)]
    command += ["-C", "10", "-f", "sender@example.test", "-t", "rcpt@example.com", "-M", "client.test"]
    command += (["-d"] if kept else []) + (["-N"] if numbered else [])
    try:
        done = subprocess.run(
            [*command, f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=RUN_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"smtp-source did not end in {RUN_LIMIT:.0f} s") from None
    if done.returncode != 0:
        raise LoadFailed(
            done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "smtp-source failed"
        )


def run(
    server: Loaded,
    sink: Counting | None,
    *,
    count: int,
    size: int,
    connections: int,
    kept: bool,
    numbered: bool = False,
) -> Sample:
    """Send one load through a server, wait for the last message at the sink and for the server to be idle."""
    before = sink.count if sink else 0
    proc.forget_peak(server.pid)
    cpu = server.cpu_seconds
    start = time.monotonic()
    send(server.port, count=count, size=size, connections=connections, kept=kept, numbered=numbered)
    if sink and not eventually(lambda: sink.count >= before + count, RUN_LIMIT, 0.003):
        raise LoadFailed(f"{sink.count - before} of {count} messages reached the sink")
    seconds = time.monotonic() - start
    return Sample(count, seconds, settled_cpu(server) - cpu, proc.peak_rss_kib(server.pid) / 1024)


def warm_up(server: Loaded, sink: Counting | None, count: int) -> None:
    """Send about so many small messages, for a limited time. Raises LoadFailed."""
    spent = 0.0
    for _ in range(0, count, WARM_UP_BATCH):
        batch = min(count, WARM_UP_BATCH)
        spent += run(server, sink, count=batch, size=1024, connections=10, kept=True).seconds
        if spent > WARM_UP_SECONDS:
            return


def settled_cpu(server: Loaded, limit: float = 5.0) -> float:
    """Return the server's processor time once it stands still, so that work after the last reply is counted."""
    deadline = time.monotonic() + limit
    before = server.cpu_seconds
    while True:
        time.sleep(0.08)
        now = server.cpu_seconds
        if now == before or time.monotonic() > deadline:
            return now
        before = now
