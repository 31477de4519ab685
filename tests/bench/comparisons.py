"""What is promised about several rows or servers together, as figures: ratios of medians of the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.load import Sample
from tests.bench.names import BARE, HARAKA, HARAKA_NODES, OURS, OURS_NODES, POSTFIX
from tests.bench.report import cpu, rate, ratio
from tests.bench.throughput import Result


def p99(sample: Sample) -> float:
    return sample.p99_ms or 0.0


@dataclass(frozen=True)
class Promise:
    """`who` to `other` in one row. reach: None where the ratio is only told; `most`: it is an upper bound, else a lower one."""

    row: str
    what: str
    of: Callable[[Sample], float]
    who: str
    other: str
    reach: float | None
    most: bool = False


# Two workers can be twice as fast only where two processors are free for them: where the load needs next to nothing of them.
NODES = tuple(
    Promise(row, "rate", rate, nodes, one, 1.7 if row.startswith("compute") else None)
    for row in (
        "compute 1k c10 kept",
        *(
            f"{kind} 1k {load}"
            for kind in ("discard", "relay")
            for load in ("c10 kept", "c100 kept", "c100 one")
        ),
    )
    for nodes, one in ((OURS_NODES, OURS), (HARAKA_NODES, HARAKA))
)
PROMISES = (
    Promise("relay 1k c10 kept", "rate", rate, OURS, HARAKA, 5),
    Promise("relay 1k c10 kept", "rate", rate, OURS, POSTFIX, 3),
    Promise("discard 1k c10 kept", "CPU", cpu, OURS, BARE, 2.5, most=True),
    Promise("discard 1k c10 one", "CPU", cpu, OURS, BARE, 2.5, most=True),
    *NODES,
    Promise("latency relay 1k c10", "p99", p99, OURS, HARAKA, 1, most=True),
    Promise("latency relay 1k c100", "p99", p99, OURS, HARAKA, 1, most=True),
)


def measured(results: Sequence[Result]) -> Iterator[tuple[Promise, float]]:
    """Yield each promise whose two servers were measured, and the ratio."""
    rows = {result.row.name: result for result in results}
    for promise in PROMISES:
        if promise.row in rows and (
            found := ratio(rows[promise.row], promise.who, promise.of, promise.other)
        ):
            yield promise, found


def figure(promise: Promise, found: float) -> dict[str, Any]:
    """Return it as one of the figures."""
    return {
        "row": f"{promise.row}: {promise.what}, {promise.who} to {promise.other}",
        "unit": "x",
        "per": "",
        "reach": promise.reach,
        "servers": {promise.who: [found]},
    }


def line(promise: Promise, found: float) -> str:
    name = f"{promise.row}: {promise.what}, {promise.who} to {promise.other}"
    said = f"{name:<64} {found:7.2f}"
    if promise.reach is None:
        return said
    return f"{said}   ({'at most' if promise.most else 'at least'} {promise.reach:g})"
