"""Does every kind of row run? `python -m tests.bench --smoke` says so in less than two minutes; its figures tell nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from tests.bench.names import OURS
from tests.bench.rows import AnyRow
from tests.bench.throughput import Plan, Result

PLAN = Plan(rounds=1, seconds=0.05, warm_up=100)
IDLE = [100]  # connections


def one_of_each_kind(rows: Iterable[AnyRow]) -> list[AnyRow]:
    """The row of each kind that --quick measures first, or the first one."""
    found: dict[str, AnyRow] = {}
    for row in rows:
        if row.kind not in found or (row.quick and not found[row.kind].quick):
            found[row.kind] = row
    return list(found.values())


def failures(results: Sequence[Result]) -> Iterator[str]:
    """Rows that cannot run: this server has no figure there, or nobody has. A peer that is not installed is no failure."""
    for result in results:
        if OURS in result.failures or not result.samples:
            yield f"{result.row.name} cannot run: {result.failures.get(OURS, 'nobody did it')}"


def status(results: Sequence[Result]) -> int:
    """The exit status: 0, or 1 when rows cannot run, which are named on standard error."""
    found = list(failures(results))
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0
