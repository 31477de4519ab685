"""The chart of a scaling law: CPU a message as something grows, a line for each server; flat is good."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from tests.bench.page.figure_tables import per_of, sentence
from tests.bench.page.numbers import count, short
from tests.bench.page.rate_chart import server_style
from tests.bench.page.run import in_order
from tests.bench.page.scale import LogScale, steps
from tests.bench.page.svg import Svg, text_width

WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 40, 84, 290

Points = list[tuple[float, float]]


def law_chart(law: Mapping[str, Any]) -> str:
    """An SVG file; x has a logarithmic scale with 0 at its left end."""
    lines = _lines(law)
    title = f"CPU per {per_of(law)} by {law['law']}"
    drawing = Svg(WIDTH, HEIGHT, title, _description(law, lines))
    drawing.text(20, 30, title, "title ink")
    if not lines:
        drawing.text(20, 60, "Not measured in this run.")
        return str(drawing)
    place = LogScale((x for points in lines.values() for x, _ in points), LEFT + 12, WIDTH - RIGHT)
    up = steps(max(y for points in lines.values() for _, y in points), 4)
    unit = (BOTTOM - TOP) / up[-1]
    _axes(drawing, law, place, [(value, BOTTOM - value * unit) for value in up])
    _legend(drawing, list(lines))
    for name, points in lines.items():
        _line(drawing, name, [(place(x), BOTTOM - y * unit) for x, y in points], points)
    return str(drawing)


def _lines(law: Mapping[str, Any]) -> dict[str, Points]:
    """Median by x of each server that has any."""
    points = [point for point in law["points"] if point["cpu_ms"]]
    return {
        name: sorted((point["x"], median(point["cpu_ms"])) for point in points if point["server"] == name)
        for name in in_order(point["server"] for point in points)
    }


def _axes(drawing: Svg, law: Mapping[str, Any], place: LogScale, heights: Points) -> None:
    for value, y in heights:
        drawing.line(LEFT, y, WIDTH - RIGHT + 10, y, "l-grid thin")
        drawing.text(LEFT - 8, y + 4, f"{value:g}", "faint", "end")
    free = 0.0
    for x in sorted({point["x"] for point in law["points"] if point["cpu_ms"]}):
        width = text_width(count(x))
        drawing.line(place(x), BOTTOM, place(x), BOTTOM + 5, "l-faint thin")
        if place(x) - width / 2 >= free:
            drawing.text(place(x), BOTTOM + 20, count(x), "faint", "middle")
            free = place(x) + width / 2 + 6
    drawing.text((LEFT + WIDTH - RIGHT) / 2, BOTTOM + 40, law["unit"], "faint", "middle")
    drawing.text(WIDTH - 20, 52, f"CPU ms a {per_of(law)}", "faint", "end")


def _legend(drawing: Svg, names: list[str]) -> None:
    x = 20.0
    for name in names:
        drawing.line(x, 48, x + 20, 48, f"line l-{server_style(name)}")
        drawing.dot(x + 10, 48, server_style(name))
        drawing.text(x + 27, 52, name)
        x += 27 + text_width(name) + 22


def _line(drawing: Svg, name: str, places: Points, points: Points) -> None:
    style = server_style(name)
    if len(places) > 1:
        drawing.path(places, f"line l-{style}")
    for (x, y), (value, cpu) in zip(places, points, strict=True):
        drawing.dot(x, y, style, tip=f"{name}, {count(value)}: {short(cpu)} ms")


def _description(law: Mapping[str, Any], lines: Mapping[str, Points]) -> str:
    texts = (
        f"{name}: " + ", ".join(f"{short(cpu)} ms at {count(x)}" for x, cpu in points)
        for name, points in lines.items()
    )
    return f"{sentence(law['says'])} " + ("; ".join(texts) or "Not measured") + "."
