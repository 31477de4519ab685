"""The next hop of the rows where some mail is refused and of those that time each message, seen from the bench.

What counts in a row with refusals, for every server alike: a message is settled when the next hop has taken it, when it has
answered it with 4xx, or when it has got the bounce of one that it had answered with 5xx. Nobody retries within a run: the first
retry of all servers lies a day away. So the run ends when each message was delivered, deferred once or bounced.
"""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

from tests.bench import hop_server
from tests.support.ports import free_port
from tests.support.server import eventually, greets


class Hop:
    """The process; it runs from construction to close()."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.port = free_port()
        path = directory / "record"
        with path.open("w+b") as file:
            file.truncate(8 * (2 + hop_server.TIMES))
            self._record = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
        command = [sys.executable, hop_server.__file__, str(self.port), str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        assert eventually(lambda: greets(self.port), 10), "the next hop does not greet"

    @property
    def count(self) -> int:
        """How many messages are settled."""
        return int(self._record[0])

    @property
    def timed(self) -> int:
        """How many messages with a stamp have come."""
        return int(self._record[1])

    def times(self, since: int) -> list[float]:
        """Return how long each message took from its stamp to its end of data here, in ms, those after the first `since`."""
        return list(map(float, self._record[2 + since : 2 + self.timed]))

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()

    def __enter__(self) -> Hop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
