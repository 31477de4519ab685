"""Tables of what is no load: start, memory, idle connections; scaling laws; how long the event loop was held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from tests.bench.names import OURS
from tests.bench.page.markdown import cell, paragraphs, table
from tests.bench.page.numbers import NOTHING, bound, count, short
from tests.bench.page.run import Run, in_order, name_of

HUB_LIMIT = 20.0  # milliseconds that no row may hold the event loop for


def figures_table(run: Run) -> str:
    """One figure a line, by server; the aim is for ours."""
    if not run.figures:
        return "No such figure was measured in this run.\n"
    names = in_order(name for figure in run.figures for name in figure["servers"])
    head = ["figure", *names, "at most", "met?"]
    return table(head, (_figure(figure, names) for figure in run.figures))


def _figure(figure: Mapping[str, Any], names: Sequence[str]) -> Sequence[str]:
    unit = " ".join(filter(None, [figure["unit"], figure["per"]]))
    values = {name: median(found) for name, found in figure["servers"].items() if found}
    shown = [short(values.get(name)) for name in names]
    return [f"{name_of(figure)}, {unit}", *shown, bound(figure.get("reach")), _verdict(figure, values)]


def _verdict(figure: Mapping[str, Any], values: Mapping[str, float]) -> str:
    reach = figure.get("reach")
    if OURS not in values:
        return str(figure.get("failures", {}).get(OURS, "not measured"))
    if reach is None:
        return ""
    return "yes" if values[OURS] <= reach else "**no**"


def law_slug(law: Mapping[str, Any]) -> str:
    """The name of its chart, without the ending."""
    return "law-" + "-".join("".join(c if c.isalnum() else " " for c in law["law"].lower()).split())


def laws_part(run: Run) -> str:
    """Each law: what it says, its chart, its figures."""
    if not run.laws:
        return "No scaling law was measured in this run.\n"
    return "\n".join(
        paragraphs(
            f"### CPU by {cell(law['law'])}",
            sentence(cell(law["says"])),
            f"![{cell(law['law'])}: CPU per {per_of(law)}, the figures are in the table](performance/{law_slug(law)}.svg)",
            law_table(law),
        )
        for law in run.laws
    )


def sentence(text: str) -> str:
    """A text with a capital and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def per_of(law: Mapping[str, Any]) -> str:
    """What the CPU of a law is counted by: a message, unless it says something else."""
    return str(law.get("per", "message"))


def law_table(law: Mapping[str, Any]) -> str:
    names = in_order(point["server"] for point in law["points"])
    lines = [
        [count(x), *(_point(law, x, name) for name in names), _notes(law, x)]
        for x in sorted({point["x"] for point in law["points"]})
    ]
    heads = (f"{name}, CPU ms a {per_of(law)}" for name in names)
    return table([law["unit"], *heads, "note"], lines)


def _point(law: Mapping[str, Any], x: float, server: str) -> str:
    points = (p for p in law["points"] if p["x"] == x and p["server"] == server and p["cpu_ms"])
    return next((short(median(point["cpu_ms"])) for point in points), NOTHING)


def _notes(law: Mapping[str, Any], x: float) -> str:
    return "; ".join(
        dict.fromkeys(point["note"] for point in law["points"] if point["x"] == x and point.get("note"))
    )


def hub_table(run: Run) -> str:
    """How often the event loop was held for how long, by row."""
    if not run.hub:
        return "The event loop was not watched in this run.\n"
    bounds = _bounds(run.hub)
    head = [
        "row",
        "longest, ms",
        "CPU at most, ms",
        *(f"to {b} ms" if b != "more" else "more" for b in bounds),
        f"≤ {HUB_LIMIT:g} ms?",
        "the longest was",
    ]
    return table(head, (_held(row, bounds) for row in run.hub))


def _bounds(hub: Sequence[Mapping[str, Any]]) -> list[Any]:
    found = {bound for row in hub for bound, _ in row["histogram"]}
    return [*sorted(found - {"more"}), *(found & {"more"})]


def _within(row: Mapping[str, Any]) -> str:
    """By the clock, or else by what we can do something about."""
    if row["longest_ms"] <= HUB_LIMIT:
        return "yes"
    return "of CPU" if row["cpu"]["longest_ms"] <= HUB_LIMIT else "**no**"


def _held(row: Mapping[str, Any], bounds: Sequence[Any]) -> Iterator[str]:
    counts = dict(row["histogram"])
    yield row["row"]
    yield short(row["longest_ms"])
    yield short(row["cpu"]["longest_ms"])
    yield from (str(counts.get(bound, 0)) for bound in bounds)
    yield _within(row)
    where = row.get("longest_at", {})
    yield " ".join(where[key] for key in ("plugin", "hook", "at") if key in where)
