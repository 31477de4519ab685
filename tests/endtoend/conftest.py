"""Servers and sinks for whole-path tests; each server must end cleanly and without a traceback in its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import server
from tests.support.server import Server
from tests.support.sink import RecordingSink

RelayTo = Callable[..., Server]


def check_end(ended: Server) -> None:
    """Stop a server with SIGTERM and hold it to exit status 0 and a log without tracebacks."""
    status = ended.stop()
    assert "Traceback" not in ended.log, ended.log
    assert status == 0, f"exit status {status} after SIGTERM:\n{ended.log[-2000:]}"


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


@pytest.fixture
def relay_to(tmp_path: Path) -> Iterator[RelayTo]:
    """A function that starts a relay to a port: relay_to(port, config={...}, retries="5s*3", folder="relay")."""
    started: list[Server] = []
    with ExitStack() as stack:

        def start(next_hop: int, *, folder: str = "relay", **options: object) -> Server:
            relay = server.relay(tmp_path / folder, next_hop, **options)  # type: ignore[arg-type]
            stack.callback(relay.kill)
            started.append(relay.start())
            return relay

        yield start
        for relay in started:
            if relay.returncode is None:
                check_end(relay)
