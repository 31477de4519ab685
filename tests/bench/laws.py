"""Scaling laws: CPU per message as something grows. What should stay flat is told with each, and why where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.load import LoadFailed, Sample

Run = Callable[[], Sample]


@dataclass
class Point:
    """CPU per message, in ms, at one size; `run` measures it once. failure: why it could not be measured."""

    x: int
    run: Run
    cpu_ms: list[float] = field(default_factory=list)
    failure: str = ""


@dataclass
class Law:
    """What grows, counted in `unit`, and CPU per `per` at each size. says: what should stay flat, and why; one sentence.

    whole: what the x of a size make up together, whose CPU is noted then.
    """

    law: str
    unit: str
    says: str
    points: list[Point]
    per: str = "message"
    whole: str = ""

    def part(self, server: str) -> dict[str, Any]:
        """As an element of the JSON's `laws`."""
        points = [
            {"x": point.x, "server": server, "cpu_ms": point.cpu_ms, "note": self.note(point)}
            for point in self.points
        ]
        return {"law": self.law, "unit": self.unit, "per": self.per, "says": self.says, "points": points}

    def lines(self) -> Iterator[str]:
        """For people: the law, and a line for each size with its ratio to the first."""
        yield f"{self.law}: {self.says}"
        first = next((median(point.cpu_ms) for point in self.points if point.cpu_ms), 0.0)
        for point in self.points:
            yield f"  {point.x:>9} {self.unit:<16} {figures(point, first, self.per)}  {self.note(point)}".rstrip()

    def note(self, point: Point) -> str:
        """What is to be said of a size beside its figures."""
        if point.failure:
            return f"failed: {point.failure}"
        return (
            f"{median(point.cpu_ms) * point.x:.1f} ms a {self.whole}" if self.whole and point.cpu_ms else ""
        )


# Starts what it needs with the stack, in a directory of its own; long: at full size.
Maker = Callable[[ExitStack, Path, bool], Sequence[Law]]


def figures(point: Point, first: float, per: str) -> str:
    """Return the median with the lowest and highest, and its ratio to that of the smallest size."""
    if not point.cpu_ms:
        return "-"
    middle, low, high = median(point.cpu_ms), min(point.cpu_ms), max(point.cpu_ms)
    ratio = f"x {middle / first:.2f}" if first else ""
    return f"{middle:8.3f} ms ({low:.3f}-{high:.3f}) a {per}  {ratio}"


def measure(make: Maker, work: Path, *, rounds: int, long: bool) -> Iterator[Law]:
    """Yield the laws that a maker makes, measured: all sizes by turns, so that a machine that gets slower slows all down."""
    with ExitStack() as stack:
        for law in make(stack, work, long):
            for number in range(rounds):
                for point in law.points if number % 2 == 0 else reversed(law.points):
                    once(point)
            yield law


def once(point: Point) -> None:
    """Measure one point once more, unless that has failed before."""
    if point.failure:
        return
    try:
        point.cpu_ms.append(point.run().cpu_ms)
    except (LoadFailed, OSError, ValueError) as error:
        point.failure = str(error)
