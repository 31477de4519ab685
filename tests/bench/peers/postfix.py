"""Postfix: an instance of its own that throws the mail away or relays all of it to one port."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.bench.load import LoadFailed
from tests.support import proc
from tests.support.needs import find_program
from tests.support.postfix import Postfix
from tests.support.server import eventually, greets

LARGEST_MESSAGE = 200 * 1024 * 1024
# What the others do not limit, and retries that lie behind the end of every run. in_flow_delay stays as it is.
SETTINGS = {
    "default_process_limit": "120",
    "message_size_limit": str(LARGEST_MESSAGE),
    "mailbox_size_limit": "0",
    "minimal_backoff_time": "1d",
    "maximal_backoff_time": "1d",
    "queue_run_delay": "1d",
}
DISCARD = {"relayhost": "", "default_transport": "discard:bench"}
START_SECONDS = 20.0


class PostfixServer(Postfix):
    """With what a load needs to know: the port, and processor time and memory of master and all below it."""

    pid = 0

    @property
    def cpu_seconds(self) -> float:
        return proc.cpu_seconds(self.pid)

    @property
    def rss_kib(self) -> int:
        return proc.rss_kib(self.pid)

    def __enter__(self) -> PostfixServer:
        try:
            super().__enter__()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            raise LoadFailed(f"Postfix does not start: {error}") from error
        if not eventually(lambda: greets(self.port), START_SECONDS):
            super().__exit__()
            raise LoadFailed("Postfix does not greet")
        self.pid = int((self.directory / "spool" / "pid" / "master.pid").read_text())
        return self


def postfix(_: Path, next_hop: int | None) -> PostfixServer:
    """Return a Postfix, not yet started; its directory is one that its own users may enter. Raises LoadFailed."""
    if find_program("postfix") is None:
        raise LoadFailed("postfix is not here: apt-get install postfix")
    if os.geteuid() != 0:
        raise LoadFailed("Postfix starts as root only")
    return PostfixServer(next_hop or 0, {**SETTINGS, **({} if next_hop else DISCARD)})
