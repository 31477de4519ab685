"""What is measured, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

SIZES = {"1k": 1024, "50k": 50 * 1024, "5m": 5 * 1024 * 1024}
CONNECTIONS = (1, 10, 100)
# Server CPU a message, ours to Haraka's, that the project set itself.
AIMS = {"discard 1k": 0.5, "discard 50k": 0.35, "discard 5m": 0.25, "relay 1k": 0.45, "relay 5m": 0.35}
PROBE_MESSAGES = {"1k": 200, "50k": 100, "5m": 10}


@dataclass(frozen=True)
class Row:
    """One load: what the server does with the mail, message size, connections, many messages on each or one."""

    relay: bool
    size_name: str
    connections: int
    kept: bool

    @property
    def kind(self) -> str:
        return "relay" if self.relay else "discard"

    @property
    def name(self) -> str:
        return f"{self.kind} {self.size_name} c{self.connections} {'kept' if self.kept else 'one'}"

    @property
    def size(self) -> int:
        return SIZES[self.size_name]

    @property
    def aim(self) -> float | None:
        return AIMS.get(f"{self.kind} {self.size_name}")

    @property
    def quick(self) -> bool:
        return self.connections == 10 and (self.kept or self.size_name == "1k")

    @property
    def probe_messages(self) -> int:
        return max(self.connections, PROBE_MESSAGES[self.size_name])


def every_row() -> Iterator[Row]:
    for relay in (False, True):
        for size_name in SIZES:
            for connections in CONNECTIONS:
                for kept in (True, False):
                    yield Row(relay, size_name, connections, kept)


def matches(name: str, pattern: str | None) -> bool:
    """Say whether a row is asked for: `pattern` may stand anywhere in its name, with * and ? as in a shell."""
    return pattern is None or fnmatch(name, f"*{pattern}*")


def chosen(pattern: str | None, quick: bool) -> list[Row]:
    return [row for row in every_row() if matches(row.name, pattern) and (row.quick or not quick)]
