"""One figure of each server: a row of the second table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Figure:
    """A figure by server, in `unit`, `per` something; ours should stay below `aim`. failures: why a server has none."""

    name: str
    unit: str
    per: str
    aim: float | None = None
    values: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, server: str, value: float) -> None:
        self.values.setdefault(server, []).append(value)

    def part(self) -> dict[str, Any]:
        """As an element of the JSON's `figures`."""
        return {
            "row": self.name,
            "unit": self.unit,
            "per": self.per,
            "reach": self.aim,
            "servers": self.values,
            "failures": self.failures,
        }


def all_of(
    figures: Sequence[Figure],
    servers: Sequence[str],
    rounds: int,
    once: Callable[[str, int], Sequence[float]],
) -> Sequence[Figure]:
    """Fill figures that come from one measurement: `once(server, round)` returns a value for each. It may raise OSError,
    ValueError, RuntimeError: then the server has no more of them."""
    for number in range(rounds):
        for server in servers:
            if server in figures[0].failures:
                continue
            try:
                values = once(server, number)
            except (OSError, ValueError, RuntimeError) as error:
                for figure in figures:
                    figure.failures[server] = str(error)
            else:
                for figure, value in zip(figures, values, strict=True):
                    figure.add(server, value)
    return figures
