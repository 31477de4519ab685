"""The chart of CPU a message relative to Haraka's: a bar for each row, with marks where reach and dream are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from tests.bench.names import HARAKA, OURS
from tests.bench.page.run import Row, Run
from tests.bench.page.scale import steps
from tests.bench.page.svg import Svg

WIDTH, LEFT, RIGHT = 860, 190, 110
TOP, ROW, GAP, BAR, FOOT = 92, 19, 14, 11, 34


def cpu_chart(run: Run) -> str:
    """An SVG file; without a row that both servers did it says so."""
    rows = [row for row in run.rows if _ratio(row) is not None]
    groups = [list(members) for _, members in groupby(rows, key=lambda row: row.kind)]
    height = TOP + len(rows) * ROW + max(len(groups) - 1, 0) * GAP + FOOT
    drawing = Svg(WIDTH, height, "Server CPU per message, relative to Haraka", _description(rows))
    drawing.text(20, 30, "Server CPU per message, ours relative to Haraka", "title ink")
    if not rows:
        drawing.text(20, 60, "Not measured in this run.")
        return str(drawing)
    scale = _Scale(max(1.0, *(_ratio(row) or 0 for row in rows)))
    _legend(drawing)
    _axis(drawing, scale, height - FOOT)
    for row, y in _places(groups):
        _bar(drawing, row, y, scale)
    return str(drawing)


class _Scale:
    """From a ratio to x."""

    def __init__(self, top: float) -> None:
        self.steps = steps(top)
        self._unit = (WIDTH - LEFT - RIGHT) / self.steps[-1]

    def __call__(self, value: float) -> float:
        return LEFT + value * self._unit


def _ratio(row: Row) -> float | None:
    return row.ratio("cpu_ms", OURS, HARAKA)


def _places(groups: Sequence[Sequence[Row]]) -> Iterator[tuple[Row, float]]:
    y = TOP + 4.0
    for group in groups:
        for row in group:
            yield row, y
            y += ROW
        y += GAP


def _legend(drawing: Svg) -> None:
    drawing.rect(20, 47, 22, BAR, "s0")
    drawing.text(48, 57, "ours, within reach")
    drawing.rect(180, 47, 22, BAR, "miss")
    drawing.text(208, 57, "ours, not yet (!)")
    _reach_mark(drawing, 336, 47)
    drawing.text(346, 57, "reach")
    _dream_mark(drawing, 410, 47)
    drawing.text(420, 57, "dream")
    drawing.text(WIDTH - 20, 57, "1.0 is Haraka; shorter is better", "faint", "end")


def _axis(drawing: Svg, scale: _Scale, bottom: float) -> None:
    for step in scale.steps:
        drawing.line(scale(step), TOP - 4, scale(step), bottom, "l-grid thin")
        drawing.text(scale(step), bottom + 18, f"{step:.1f}", "faint", "middle")
    drawing.line(scale(1), TOP - 10, scale(1), bottom, "l-ink line")
    drawing.text(scale(1), TOP - 14, "Haraka", "head ink", "middle")


def _bar(drawing: Svg, row: Row, y: float, scale: _Scale) -> None:
    found = _ratio(row) or 0.0
    missed = row.reach is not None and found > row.reach
    drawing.text(LEFT - 10, y + BAR - 1, row.name, "ink", "end")
    drawing.rect(LEFT, y, scale(found) - LEFT, BAR, "miss" if missed else "s0", radius=2, tip=_words(row))
    marks = [mark for mark in (row.reach, row.dream) if mark is not None]
    if row.reach is not None:
        _reach_mark(drawing, scale(row.reach), y)
    if row.dream is not None:
        _dream_mark(drawing, scale(row.dream), y)
    label = f"{found:.2f}{' !' if missed else ''}"
    drawing.text(
        max(scale(one) for one in (found, *marks)) + 8, y + BAR - 1, label, "head ink" if missed else "ink"
    )


def _reach_mark(drawing: Svg, x: float, y: float) -> None:
    drawing.rect(x - 1, y - 3, 2, BAR + 6, "goal")


def _dream_mark(drawing: Svg, x: float, y: float) -> None:
    middle = y + BAR / 2
    drawing.path(
        [(x, middle - 5), (x + 4, middle), (x, middle + 5), (x - 4, middle)], "goal l-paper", closed=True
    )


def _words(row: Row) -> str:
    aim = f", reach {row.reach:g}" if row.reach is not None else ""
    return f"{row.name} {_ratio(row):.2f}{aim}"


def _description(rows: Sequence[Row]) -> str:
    return (
        "Ratio of server CPU per message, ours to Haraka's: "
        + ("; ".join(map(_words, rows)) or "not measured")
        + "."
    )
