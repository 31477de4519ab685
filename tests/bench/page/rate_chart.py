"""The chart of messages a second: a panel for each load, a bar for each server, the longest is the fastest."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.page.numbers import short
from tests.bench.page.run import ORDER, Row, Run, in_order
from tests.bench.page.svg import Svg, text_width

WIDTH, COLUMNS, EDGE, BETWEEN = 860, 2, 20, 30
PANEL = (WIDTH - 2 * EDGE - BETWEEN * (COLUMNS - 1)) / COLUMNS
NAMES, NUMBERS = 116, 76
TOP, HEAD, LINE, BAR, GAP = 74, 24, 17, 11, 16


def rate_chart(run: Run) -> str:
    """An SVG file of the loads that more than one server did."""
    rows = [row for row in run.rows if row.typical and len(_rates(row)) > 1]
    heights = [max(map(_height, rows[at : at + COLUMNS])) for at in range(0, len(rows), COLUMNS)]
    drawing = Svg(WIDTH, TOP + sum(heights) + 8, "Messages per second by server", _description(rows))
    drawing.text(EDGE, 30, "Messages per second", "title ink")
    drawing.text(
        EDGE,
        52,
        "Each panel has a scale of its own; longer is better." if rows else "Not measured in this run.",
        "faint",
    )
    for number, row in enumerate(rows):
        line, column = divmod(number, COLUMNS)
        _panel(drawing, row, EDGE + column * (PANEL + BETWEEN), TOP + sum(heights[:line]))
    return str(drawing)


def _rates(row: Row) -> dict[str, float]:
    found = {name: row.median(name, "rate") for name in in_order(row.servers)}
    return {name: rate for name, rate in found.items() if rate is not None}


def _height(row: Row) -> float:
    return HEAD + len(_rates(row)) * LINE + GAP


def _panel(drawing: Svg, row: Row, left: float, top: float) -> None:
    rates = _rates(row)
    drawing.text(left, top + 12, row.name, "head ink")
    drawing.text(left + text_width(row.name) * 1.08 + 16, top + 12, f"{row.unit}/s", "faint")
    unit = (PANEL - NAMES - NUMBERS) / max(rates.values())
    for number, (name, rate) in enumerate(rates.items()):
        y = top + HEAD + number * LINE
        drawing.text(left + NAMES - 8, y + BAR - 1, name, "ink", "end")
        drawing.rect(
            left + NAMES, y, rate * unit, BAR, server_style(name), radius=2, tip=f"{name}: {short(rate)}"
        )
        drawing.text(left + NAMES + rate * unit + 6, y + BAR - 1, short(rate), "ink")


def server_style(name: str) -> str:
    """The colour of a server, the same in every chart."""
    return f"s{ORDER.index(name)}" if name in ORDER else f"s{len(ORDER) - 1}"


def _description(rows: Sequence[Row]) -> str:
    texts = (
        f"{row.name}: " + ", ".join(f"{name} {short(rate)}" for name, rate in _rates(row).items())
        for row in rows
    )
    return "Messages per second. " + ("; ".join(texts) or "Not measured") + "."
