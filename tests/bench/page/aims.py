"""What was aimed at besides CPU to Haraka's: rates, the ceiling, a second process, latency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.page.markdown import table
from tests.bench.page.numbers import ratio
from tests.bench.page.run import BARE, HARAKA, OURS, OURS_TWO, POSTFIX, Run

RELAY, DISCARD = "relay 1k c10 kept", "discard 1k c10 kept"
WORDS = {"rate": "rate", "cpu_ms": "CPU", "p99_ms": "99th percentile of latency"}


@dataclass(frozen=True)
class Aim:
    """One figure of a server by that of another one.

    value: None when it was not measured, `why` says why not. at_least: the limit is from below, else from above.
    """

    says: str
    value: float | None
    limit: float
    at_least: bool
    why: str

    @property
    def verdict(self) -> str:
        if self.value is None:
            return self.why
        return (
            "yes" if (self.value >= self.limit if self.at_least else self.value <= self.limit) else "**no**"
        )


def aims(run: Run) -> Iterator[Aim]:
    """Each of them, measured or not."""
    yield _aim(run, RELAY, "rate", OURS, HARAKA, 5, at_least=True)
    yield _aim(run, RELAY, "rate", OURS, POSTFIX, 3, at_least=True)
    yield _aim(run, DISCARD, "cpu_ms", OURS, BARE, 2.5, at_least=False)
    crowded = [name for name in _with(run, "p99_ms", OURS, HARAKA) if "c100" in name.split()]
    for name in crowded or ["relay of 100 connections"]:
        yield _aim(run, name, "p99_ms", OURS, HARAKA, 1, at_least=False)
    for name in _with(run, "rate", OURS_TWO, OURS) or ["two processes"]:
        yield _aim(run, name, "rate", OURS_TWO, OURS, 1.7, at_least=True)


def aims_table(run: Run) -> str:
    head = ["aim", "measured", "wanted", "met?"]
    lines = (
        [aim.says, ratio(aim.value), f"{'≥' if aim.at_least else '≤'} {aim.limit:g}", aim.verdict]
        for aim in aims(run)
    )
    return table(head, lines)


def _with(run: Run, key: str, *servers: str) -> list[str]:
    """The names of the rows in which all of these have this figure."""
    return [row.name for row in run.rows if all(row.spread(server, key) for server in servers)]


def _aim(run: Run, name: str, key: str, server: str, to: str, limit: float, *, at_least: bool) -> Aim:
    row = run.row(name)
    says = f"{name}: {WORDS[key]}, {server} ÷ {to}"
    why = (row.why_missing(server, to) or "not measured") if row else "not measured in this run"
    return Aim(says, row and row.ratio(key, server, to), limit, at_least, why)
