"""The load: Postfix's smtp-source, the same for every server, and what one run of it cost the server."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from tests.support.needs import find_program
from tests.support.server import Server, eventually
from tests.support.sink import PostfixSink

RUN_LIMIT = 300.0  # seconds after which a run counts as failed


class LoadFailed(Exception):
    """smtp-source gave up, or mail did not arrive."""


@dataclass(frozen=True)
class Sample:
    """One run: messages a second from the first connect to the last delivery, and server CPU a message."""

    messages: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu_seconds * 1000 / self.messages


def send(port: int, *, count: int, size: int, connections: int, kept: bool) -> None:
    """Send `count` messages of `size` octets; `kept` connections carry many messages. Raises LoadFailed."""
    command = [str(find_program("smtp-source")), "-s", str(connections), "-m", str(count), "-l", str(size)]
    command += ["-C", "10", "-f", "sender@example.test", "-t", "rcpt@example.com", "-M", "client.test"]
    command += ["-d"] if kept else []
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
    server: Server, sink: PostfixSink | None, *, count: int, size: int, connections: int, kept: bool
) -> Sample:
    """Send one load through a server, wait for the last message at the sink and for the server to be idle."""
    before = sink.count if sink else 0
    cpu = server.cpu_seconds
    start = time.monotonic()
    send(server.port, count=count, size=size, connections=connections, kept=kept)
    if sink and not eventually(lambda: sink.count >= before + count, RUN_LIMIT, 0.003):
        raise LoadFailed(f"{sink.count - before} of {count} messages reached the sink")
    seconds = time.monotonic() - start
    return Sample(count, seconds, settled_cpu(server) - cpu)


def settled_cpu(server: Server, limit: float = 5.0) -> float:
    """Return the server's processor time once it stands still, so that work after the last reply is counted."""
    deadline = time.monotonic() + limit
    before = server.cpu_seconds
    while True:
        time.sleep(0.08)
        now = server.cpu_seconds
        if now == before or time.monotonic() > deadline:
            return now
        before = now
