"""A relay of two workers: who they are, and how to reach one of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mta.control.client import ControlClient, NotRunning
from mta.outbound.share import Share
from tests.support import proc
from tests.support.client import RawClient
from tests.support.server import RELAY_CONFIG, Server, eventually

TWO = {"smtp.ini": RELAY_CONFIG["smtp.ini"] + "nodes=2\n"}


def status(relay: Server) -> dict[str, Any]:
    """What all workers together say."""
    with ControlClient(relay.directory / "queue.state") as client:
        return client.ask("status")


def pids(relay: Server) -> list[int]:
    """Wait until both answer; their processes by slot."""
    found: list[int] = []

    def both() -> bool:
        try:
            found[:] = [worker["pid"] for worker in status(relay)["workers"]]
        except (NotRunning, KeyError):
            return False
        return len(found) == 2

    assert eventually(both, 70), relay.log[-2000:]
    return found


def slot_of(entry: str) -> int:
    """Whose an entry is."""
    return 0 if Share(0, 2).owns(entry.split("_")[4]) else 1


def send_through(relay: Server, slot: int, rcpt: str, sender: str = "ann@a.test") -> None:
    """Send a mail that one of the workers takes: the other can not accept meanwhile."""
    with frozen(pids(relay)[1 - slot]), RawClient(relay.port) as client:
        assert client.send(sender, [rcpt], b"Subject: hi\r\n\r\nbody\r\n").startswith("250")


@contextmanager
def frozen(*processes: int) -> Iterator[None]:
    """Let processes do nothing for a while."""
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
        while proc.state(pid) != "T":
            time.sleep(0.001)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def gone(*processes: int) -> bool:
    """Wait until none of these processes is left."""
    return eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), 20)
