"""A small writer of SVG: what a chart needs, with colours for light and for dark."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

# Each is a fill, and the same as a stroke. Those of servers can be told apart with any kind of sight (Okabe and Ito).
LIGHT: Final = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "faint": "#59636e",
    "grid": "#d1d9e0",
    "miss": "#d55e00",
    "goal": "#1f2328",
    "s0": "#0072b2",
    "s1": "#56b4e9",
    "s2": "#d55e00",
    "s3": "#e69f00",
    "s4": "#009e73",
    "s5": "#aa5c90",
    "s6": "#b59b00",
    "s7": "#6e7781",
}
DARK: Final = {
    "paper": "#0d1117",
    "ink": "#e6edf3",
    "faint": "#9198a1",
    "grid": "#30363d",
    "miss": "#ff8c42",
    "goal": "#e6edf3",
    "s0": "#3d9fe0",
    "s1": "#9ad7fa",
    "s2": "#ff8c42",
    "s3": "#ffc04d",
    "s4": "#2fcf9f",
    "s5": "#d98cbf",
    "s6": "#e8d95b",
    "s7": "#9198a1",
}
FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"


def _colours(colours: dict[str, str]) -> str:
    return "".join(f".{name}{{fill:{c}}}.l-{name}{{stroke:{c}}}" for name, c in colours.items())


STYLE = (
    f"text{{{FONT};font-size:12px}}.title{{font-size:16px;font-weight:600}}.head{{font-weight:600}}"
    ".small{font-size:11px}.line{fill:none;stroke-width:2}.thin{stroke-width:1}.dash{stroke-dasharray:3 3}"
    f"{_colours(LIGHT)}@media (prefers-color-scheme:dark){{{_colours(DARK)}}}"
)


class Svg:
    """A drawing of so many units, on paper of its own; title and desc are what a screen reader says."""

    def __init__(self, width: float, height: float, title: str, desc: str) -> None:
        self._root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {_number(width)} {_number(height)}",
                "width": _number(width),
                "height": _number(height),
                "role": "img",
                "aria-labelledby": "title desc",
            },
        )
        self._add("title", {"id": "title"}, title)
        self._add("desc", {"id": "desc"}, desc)
        self._add("style", {}, STYLE)
        self.rect(0, 0, width, height, "paper", radius=6)

    def _add(self, tag: str, attributes: dict[str, str], text: str | None = None) -> None:
        ElementTree.SubElement(self._root, tag, attributes).text = text

    def text(self, x: float, y: float, text: str, style: str = "ink", anchor: str = "start") -> None:
        """anchor: start, middle or end of the text is at x; y is its base line."""
        place = {"x": _number(x), "y": _number(y), "class": style}
        self._add("text", place if anchor == "start" else place | {"text-anchor": anchor}, text)

    def rect(
        self, x: float, y: float, width: float, height: float, style: str, *, radius: float = 0, tip: str = ""
    ) -> None:
        """tip: what is shown when somebody points at it."""
        place = {"x": x, "y": y, "width": max(width, 0), "height": height} | (
            {"rx": radius} if radius else {}
        )
        self._add("rect", {key: _number(value) for key, value in place.items()} | {"class": style})
        self._tip(tip)

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        place = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        self._add("line", {key: _number(value) for key, value in place.items()} | {"class": style})

    def path(self, points: list[tuple[float, float]], style: str, *, closed: bool = False) -> None:
        """Straight lines from point to point."""
        steps = " L".join(f"{_number(x)} {_number(y)}" for x, y in points)
        self._add("path", {"d": f"M{steps}{'Z' if closed else ''}", "class": style})

    def dot(self, x: float, y: float, style: str, *, tip: str = "") -> None:
        self._add("circle", {"cx": _number(x), "cy": _number(y), "r": "3.5", "class": style})
        self._tip(tip)

    def _tip(self, text: str) -> None:
        if text:
            ElementTree.SubElement(self._root[-1], "title").text = text

    def __str__(self) -> str:
        ElementTree.indent(self._root)
        return ElementTree.tostring(self._root, encoding="unicode") + "\n"


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def text_width(text: str, size: float = 12) -> float:
    """About how wide a text is; no font is asked."""
    return len(text) * size * 0.56
