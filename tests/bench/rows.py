"""What is measured, as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Protocol, TypeVar

SIZES = {"1k": 1024, "50k": 50 * 1024, "5m": 5 * 1024 * 1024}
CONNECTIONS = (1, 10, 100)
# Server CPU a message, ours to Haraka's, that the project set itself.
AIMS = {"discard 1k": 0.5, "discard 50k": 0.35, "discard 5m": 0.25, "relay 1k": 0.45, "relay 5m": 0.35}
RATE_AIMS = {"starttls": "rate 1"}  # sessions a second, ours to Haraka's
PROBE_MESSAGES = {"1k": 200, "50k": 100, "5m": 10}
PROBE_SESSIONS = 60


class Named(Protocol):
    """What every row has: its name, what is aimed at, and whether --quick measures it."""

    @property
    def name(self) -> str: ...

    @property
    def aim(self) -> str: ...

    @property
    def quick(self) -> bool: ...


AnyRow = TypeVar("AnyRow", bound=Named)


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
    def aim(self) -> str:
        return str(AIMS.get(f"{self.kind} {self.size_name}", ""))

    @property
    def quick(self) -> bool:
        return self.connections == 10 and (self.kept or self.size_name == "1k")

    @property
    def probe_messages(self) -> int:
        return max(self.connections, PROBE_MESSAGES[self.size_name])


@dataclass(frozen=True)
class SessionRow:
    """Sessions over STARTTLS: with which key, and whether a message is submitted in each."""

    kind: str
    key: str

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def aim(self) -> str:
        return RATE_AIMS.get(self.kind, "")

    @property
    def quick(self) -> bool:
        return self.kind == "starttls"

    @property
    def probe_messages(self) -> int:
        return PROBE_SESSIONS


@dataclass(frozen=True)
class FanoutRow:
    """One message to many: `domains` of them with `each` recipients."""

    name: str
    domains: int
    each: int
    aim: str = ""
    quick: bool = True

    @property
    def rcpts(self) -> list[str]:
        return [f"user{n}@d{domain}.example" for domain in range(self.domains) for n in range(self.each)]


SESSION_ROWS = [SessionRow(kind, key) for kind in ("starttls", "submit") for key in ("rsa2048", "p256")]
FANOUT_ROWS = [FanoutRow("fanout 200 domains", 200, 1), FanoutRow("fanout 500 rcpts", 1, 500)]


def every_row() -> Iterator[Row]:
    for relay in (False, True):
        for size_name in SIZES:
            for connections in CONNECTIONS:
                for kept in (True, False):
                    yield Row(relay, size_name, connections, kept)


def matches(name: str, pattern: str | None) -> bool:
    """Say whether a row is asked for: `pattern` may stand anywhere in its name, with * and ? as in a shell."""
    return pattern is None or fnmatch(name, f"*{pattern}*")


def chosen(rows: Iterable[AnyRow], pattern: str | None, quick: bool) -> list[AnyRow]:
    return [row for row in rows if matches(row.name, pattern) and (row.quick or not quick)]
