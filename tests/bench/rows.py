"""What is measured, as data: the rows, how far each should reach, and who takes part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Protocol, TypeVar

from tests.bench.names import AIOSMTPD, BARE, NODES, PAIR, POSTFIX, SLIMTA, does

SIZES = {"1k": 1024, "50k": 50 * 1024, "5m": 5 * 1024 * 1024}
CONNECTIONS = (1, 10, 100)
PROBE_MESSAGES = {"1k": 200, "50k": 100, "5m": 10}
PROBE_SESSIONS = 60

# Server CPU a message, ours to Haraka's: what the project set itself, and what it dreams of.
# By kind and size; one message a connection has a line of its own where it differs.
REACH: dict[str, tuple[float, float]] = {
    "discard 1k": (0.25, 0.10),
    "discard 1k one": (0.25, 0.12),
    "discard 50k": (0.25, 0.12),
    "discard 5m": (0.25, 0.12),
    "relay 1k": (0.15, 0.09),
    "relay 50k": (0.25, 0.12),
    "relay 5m": (0.25, 0.12),
    "forward 1k": (0.30, 0.15),
    "starttls": (0.45, 0.30),
}

# Which peers take part in which kind unless all are asked for, always with ten connections.
PEERS_BESIDE = {
    "discard": (POSTFIX, AIOSMTPD, SLIMTA, BARE),
    "relay": (POSTFIX, SLIMTA),
    "relay-mixed": (POSTFIX,),
}
# The rows where two workers are measured too, by connections and whether they are kept: where they might pay.
WITH_NODES = {(100, True), (100, False), (10, True)}


class Named(Protocol):
    """What every row has: its name, its kind, what is counted in it, its reach and dream, and whether --quick measures it."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def goal(self) -> tuple[float, float] | None: ...

    @property
    def quick(self) -> bool: ...

    @property
    def beside(self) -> tuple[str, ...]:
        """The contenders besides Haraka and this server."""


AnyRow = TypeVar("AnyRow", bound=Named)


@dataclass(frozen=True)
class Row:
    """One load: what the server does with the mail, message size, connections, many messages on each or one."""

    kind: str
    size_name: str
    connections: int
    kept: bool
    unit: str = "msg"

    @property
    def name(self) -> str:
        return f"{self.kind} {self.size_name} c{self.connections} {'kept' if self.kept else 'one'}"

    @property
    def size(self) -> int:
        return SIZES[self.size_name]

    @property
    def goal(self) -> tuple[float, float] | None:
        usual = f"{self.kind} {self.size_name}"
        return REACH.get(usual if self.kept else f"{usual} one", REACH.get(usual))

    @property
    def quick(self) -> bool:
        return self.connections == 10 and (self.kept or (self.size_name == "1k" and self.kind != "forward"))

    @property
    def beside(self) -> tuple[str, ...]:
        two = self.kind in ("discard", "relay", "compute") and self.size_name == "1k"
        nodes = NODES if two and (self.connections, self.kept) in WITH_NODES else ()
        return nodes + (PEERS_BESIDE.get(self.kind, ()) if self.connections == 10 else ())

    @property
    def probe_messages(self) -> int:
        return max(self.connections, PROBE_MESSAGES[self.size_name])


@dataclass(frozen=True)
class SessionRow:
    """Sessions over STARTTLS: with which key, and whether a message is submitted in each."""

    kind: str
    key: str
    unit: str = "session"
    beside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def goal(self) -> tuple[float, float] | None:
        return REACH.get(self.kind)

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
    kind: str = "fanout"
    unit: str = "rcpt"
    goal: tuple[float, float] | None = None
    quick: bool = True
    beside: tuple[str, ...] = ()

    @property
    def rcpts(self) -> list[str]:
        return [f"user{n}@d{domain}.example" for domain in range(self.domains) for n in range(self.each)]


@dataclass(frozen=True)
class LatencyRow:
    """How long a message of 1 KB takes through a relay, over kept connections that send at a fixed rate."""

    connections: int
    kind: str = "latency"
    unit: str = "msg"
    goal: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        return f"latency relay 1k c{self.connections}"

    @property
    def quick(self) -> bool:
        return self.connections == 100

    @property
    def beside(self) -> tuple[str, ...]:
        return (POSTFIX,) if self.connections == 10 else ()

    @property
    def probe_messages(self) -> int:
        return max(100, self.connections)


SESSION_ROWS = [SessionRow(kind, key) for kind in ("starttls", "submit") for key in ("rsa2048", "p256")]
FANOUT_ROWS = [FanoutRow("fanout 200 domains", 200, 1), FanoutRow("fanout 500 rcpts", 1, 500)]
LATENCY_ROWS = [LatencyRow(10), LatencyRow(100)]
OTHER_ROWS = [
    Row("relay-mixed", "1k", 10, True),
    Row("forward", "1k", 10, True),
    Row("forward", "1k", 10, False),
    Row("chain", "1k", 10, True),
    Row("compute", "1k", 10, True),
]


def every_row() -> Iterator[Row]:
    """Return all rows that smtp-source loads, those of a kind after each other."""
    for kind in ("discard", "relay"):
        for size_name in SIZES:
            for connections in CONNECTIONS:
                for kept in (True, False):
                    yield Row(kind, size_name, connections, kept)
    yield from OTHER_ROWS


def takes_part(row: Named, name: str, asked_for: Sequence[str], all_peers: bool) -> bool:
    """Say whether a contender is measured in a row.

    asked_for: the names on the command line, which then take part in all that they can do, and nobody else; empty for the usual
    choice. all_peers: everybody, in all that they can do.
    """
    if asked_for:
        return name in asked_for and does(name, row.kind)
    return name in PAIR or (does(name, row.kind) if all_peers else name in row.beside)


def matches(name: str, pattern: str | None) -> bool:
    """Say whether a row is asked for: `pattern` may stand anywhere in its name, with * and ? as in a shell."""
    return pattern is None or fnmatch(name, f"*{pattern}*")


def chosen(rows: Iterable[AnyRow], pattern: str | None, quick: bool) -> list[AnyRow]:
    return [row for row in rows if matches(row.name, pattern) and (row.quick or not quick)]
