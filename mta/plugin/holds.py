"""How often, and for how long, the event loop was kept busy, and by whom."""

from __future__ import annotations

from typing import Any

# Upper bounds in milliseconds; the last column is what took longer.
BOUNDS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
LONGER = "more"


class Holds:
    """Counts since the start: `by_plugin` maps a name to count, seconds in all, and the longest in seconds."""

    __slots__ = ("by_plugin", "histogram")

    def __init__(self) -> None:
        self.by_plugin: dict[str, tuple[int, float, float]] = {}
        self.histogram = dict.fromkeys([*map(str, BOUNDS), LONGER], 0)

    def add(self, plugin: str, seconds: float) -> None:
        """One more."""
        count, total, longest = self.by_plugin.get(plugin, (0, 0.0, 0.0))
        self.by_plugin[plugin] = (count + 1, total + seconds, max(longest, seconds))
        self.histogram[_column(seconds * 1000)] += 1

    def as_values(self) -> dict[str, Any]:
        """As JSON values: `plugins` by name, `histogram` by upper bound in milliseconds."""
        plugins = {
            name: {"count": count, "seconds": round(total, 3), "longest": round(longest, 3)}
            for name, (count, total, longest) in self.by_plugin.items()
        }
        return {"plugins": plugins, "histogram": dict(self.histogram)}


def _column(milliseconds: float) -> str:
    return next((str(bound) for bound in BOUNDS if milliseconds <= bound), LONGER)
