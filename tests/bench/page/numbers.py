"""Figures as people read them."""

from __future__ import annotations

from tests.bench.page.run import Spread

NOTHING = "-"


def short(value: float | None) -> str:
    """Three digits that tell something: 12345, 123, 12.3, 1.23, 0.123, 0.0123."""
    if value is None:
        return NOTHING
    digits = next((number for number, limit in enumerate((100, 10, 1, 0.1)) if value >= limit), 4)
    return f"{value:.{digits}f}" if value else "0"


def ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def bound(value: float | None) -> str:
    """An aim as it was written."""
    return NOTHING if value is None else f"{value:g}"


def spread(value: Spread | None) -> str:
    """The median, and in brackets what the runs lie between."""
    return NOTHING if value is None else f"{short(value.median)} ({short(value.low)}-{short(value.high)})"


def count(value: float) -> str:
    """A round number of things: 0, 500, 10k, 1M."""
    for limit, unit in ((1_000_000, "M"), (1000, "k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"
