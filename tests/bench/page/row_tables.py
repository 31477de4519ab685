"""Tables of loads: who reaches what, every row by every server, how long a message takes, what to expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.bench.names import HARAKA, OURS, OURS_NODES
from tests.bench.page.markdown import bullets, paragraphs, table
from tests.bench.page.numbers import NOTHING, bound, ratio, short, spread
from tests.bench.page.run import Row, Run, in_order, name_of
from tests.bench.rows import SESSION_ROWS, Named, every_row

NO_ROWS = "No load was measured in this run.\n"


def reach_table(run: Run) -> str:
    """CPU a message, ours to Haraka's, and whether that is what was aimed at."""
    rows = [row for row in run.rows if row.reach is not None]
    if not rows:
        return NO_ROWS
    head = ["row", "Haraka, CPU ms", "ours, CPU ms", "ours ÷ Haraka", "reach", "dream", "met?"]
    lines = [
        [
            row.name,
            spread(row.spread(HARAKA, "cpu_ms")),
            spread(row.spread(OURS, "cpu_ms")),
            ratio(row.ratio("cpu_ms", OURS, HARAKA)),
            bound(row.reach),
            bound(row.dream),
            verdict(row),
        ]
        for row in rows
    ]
    met = sum(verdict(row) in ("reach", "dream") for row in rows)
    return paragraphs(table(head, lines), f"{met} of {len(rows)} rows are within reach.", _left_out(run))


def _left_out(run: Run) -> str:
    """The rows that have an aim and are not in the run."""
    known: list[Named] = [*every_row(), *SESSION_ROWS]
    names = [row.name for row in known if row.goal and not run.row(row.name)]
    return f"Not measured in this run: {', '.join(names)}." if names else ""


def verdict(row: Row) -> str:
    """`dream`, `reach`, `no`, or why nobody can tell."""
    found = row.ratio("cpu_ms", OURS, HARAKA)
    if found is None:
        return row.why_missing(OURS, HARAKA) or "no processor time could be told"
    if row.dream is not None and found <= row.dream:
        return "dream"
    return "reach" if row.reach is not None and found <= row.reach else "**no**"


def rates_table(run: Run) -> str:
    return _by_server(run.rows, "rate", lambda row: f"{row.unit}/s")


def cpu_table(run: Run) -> str:
    return _by_server(run.rows, "cpu_ms", lambda row: f"ms a {row.unit}")


def latency_table(run: Run) -> str:
    """The median and the 99th of a hundred messages, from handing it in to its arrival, by server."""
    rows = [row for row in run.rows if any(row.spread(name, "p99_ms") for name in row.servers)]
    if not rows:
        return "No latency was measured in this run.\n"
    names = in_order(name for row in rows for name in row.servers)
    return table(
        ["ms, p50 / p99", *names], ([row.name, *(_latency(row, name) for name in names)] for row in rows)
    )


def _latency(row: Row, server: str) -> str:
    p50, p99 = row.median(server, "p50_ms"), row.median(server, "p99_ms")
    return NOTHING if p99 is None else f"{short(p50)} / {short(p99)}"


def failures_list(run: Run) -> str:
    """Why there is a dash in the tables."""
    parts = [*run.content.get("rows", ()), *run.figures]
    lines = [
        f"{name_of(part)}, {name}: {part['failures'][name]}"
        for part in parts
        for name in in_order(part.get("failures", ()))
    ]
    return bullets(lines) or "Every server did every row that it was asked for.\n"


def expect_table(run: Run) -> str:
    """What one processor can do at most by the CPU that a message takes, and what was measured."""
    rows = [row for row in run.rows if row.typical and row.servers.get(OURS)]
    if not rows:
        return NO_ROWS
    head = [
        "load",
        "CPU ms each",
        "one processor at most, a second",
        "measured, nodes=0",
        "measured, nodes=2",
    ]
    return table(head, map(_expectation, rows))


def _expectation(row: Row) -> Sequence[str]:
    cpu = row.median(OURS, "cpu_ms")
    most = f"{short(1000 / cpu)} {row.unit}" if cpu else NOTHING
    rates = [short(row.median(name, "rate")) for name in (OURS, OURS_NODES)]
    return [row.name, short(cpu), most, *rates]


def _by_server(rows: Sequence[Row], key: str, unit: Callable[[Row], str]) -> str:
    if not rows:
        return NO_ROWS
    names = in_order(name for row in rows for name in (*row.servers, *row.failures))
    lines = ([f"{row.name}, {unit(row)}", *(short(row.median(name, key)) for name in names)] for row in rows)
    return table(["row", *names], lines)
