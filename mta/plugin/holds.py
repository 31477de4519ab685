"""How often, and for how long, the event loop was kept busy for longer than it should be, and by whom."""

from __future__ import annotations

from typing import Any


class Holds:
    """Counts since the start: `by_plugin` maps a name to count, seconds in all, and the longest in seconds."""

    __slots__ = ("by_plugin",)

    def __init__(self) -> None:
        self.by_plugin: dict[str, tuple[int, float, float]] = {}

    def add(self, plugin: str, seconds: float) -> None:
        """One more."""
        count, total, longest = self.by_plugin.get(plugin, (0, 0.0, 0.0))
        self.by_plugin[plugin] = (count + 1, total + seconds, max(longest, seconds))

    def as_values(self) -> dict[str, Any]:
        """As JSON values, by name."""
        return {
            name: {"count": count, "seconds": round(total, 3), "longest": round(longest, 3)}
            for name, (count, total, longest) in self.by_plugin.items()
        }
