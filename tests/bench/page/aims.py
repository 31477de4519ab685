"""What is promised about several rows or servers together, as a table; tests/bench/comparisons.py has the promises."""

from __future__ import annotations

from tests.bench.comparisons import PROMISES, Promise
from tests.bench.names import OURS, OURS_NODES
from tests.bench.page.markdown import table
from tests.bench.page.numbers import ratio
from tests.bench.page.run import Run

KEYS = {
    "rate": "rate",
    "CPU": "cpu_ms",
    "p99": "p99_ms",
}  # what a promise calls them, and what the samples do


def aims_table(run: Run) -> str:
    """Each promise, measured or not; those about others are there to compare with."""
    head = ["what, by what", "measured", "wanted", "met?"]
    return table(head, (_aim(run, promise) for promise in PROMISES))


def _aim(run: Run, promise: Promise) -> list[str]:
    row = run.row(promise.row)
    value = row.ratio(KEYS[promise.what], promise.who, promise.other) if row else None
    says = f"{promise.row}: {promise.what}, {promise.who} ÷ {promise.other}"
    if promise.who not in (OURS, OURS_NODES) or promise.reach is None:
        return [says, ratio(value), "", "" if value is not None else _why(run, promise)]
    wanted = f"{'≤' if promise.most else '≥'} {promise.reach:g}"
    return [says, ratio(value), wanted, _why(run, promise) if value is None else _verdict(promise, value)]


def _verdict(promise: Promise, value: float) -> str:
    assert promise.reach is not None  # only who promises something is asked
    return "yes" if (value <= promise.reach if promise.most else value >= promise.reach) else "**no**"


def _why(run: Run, promise: Promise) -> str:
    row = run.row(promise.row)
    if row is None:
        return "not measured in this run"
    return row.why_missing(promise.who, promise.other) or "not measured"
