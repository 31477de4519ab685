"""The figures for people: a block for each row, a line for each server. Nothing is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from tests.bench.figure import Figure
from tests.bench.load import Sample
from tests.bench.names import HARAKA, OURS
from tests.bench.throughput import Result

LEGEND = (
    "Medians (lowest-highest) of the runs: rate, processor time of the server and all its processes for each, their greatest\n"
    "memory, and rate and processor time to Haraka's."
)


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median with the lowest and the highest."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def ratio(result: Result, name: str, of: Callable[[Sample], float], other: str = HARAKA) -> float | None:
    """Return the median of a server's samples to that of another's; None where one of the two has none."""
    medians = [
        median(map(of, result.samples[who])) if result.samples.get(who) else 0.0 for who in (name, other)
    ]
    return medians[0] / medians[1] if all(medians) else None


def rate(sample: Sample) -> float:
    return sample.rate


def cpu(sample: Sample) -> float:
    return sample.cpu_ms


def block(result: Result) -> str:
    """Return a row: its head with reach and dream, a line for each server, and why others have none."""
    goal = result.row.goal
    reach = f"   (ours to Haraka's CPU: reach {goal[0]:.2f}, dream {goal[1]:.2f})" if goal else ""
    return "\n".join([f"{result.row.name}{reach}", *_lines(result)])


def _lines(result: Result) -> Iterator[str]:
    for name in sorted(result.samples, key=lambda name: (name != HARAKA, name != OURS)):
        samples = result.samples[name]
        yield (
            f"  {name:<15}{_rates(samples):>22} {result.row.unit}/s"
            f"{spread([s.cpu_ms for s in samples], 3):>26} ms CPU{_memory(samples):>9}"
            f"{_times(result, name)}{_latency(samples)}"
        )
    yield from (f"  {name:<15} not measured: {why}" for name, why in result.failures.items())


def _rates(samples: Sequence[Sample]) -> str:
    rates = [sample.rate for sample in samples]
    return spread(rates, 0 if median(rates) > 100 else 1)


def _memory(samples: Sequence[Sample]) -> str:
    peaks = [sample.rss_mb for sample in samples if sample.rss_mb is not None]
    return f"{max(peaks):.0f} MB" if peaks else ""


def _times(result: Result, name: str) -> str:
    """Return rate and CPU to Haraka's."""
    if name == HARAKA or (rates := ratio(result, name, rate)) is None:
        return ""
    return f"   {rates:6.2f} x rate {ratio(result, name, cpu) or 0:6.3f} x CPU"


def _latency(samples: Sequence[Sample]) -> str:
    middle = [sample.p50_ms for sample in samples if sample.p50_ms is not None]
    slow = [sample.p99_ms for sample in samples if sample.p99_ms is not None]
    return f"   p50 {spread(middle, 1)} p99 {spread(slow, 1)} ms" if middle and slow else ""


def figure_lines(figure: Figure) -> str:
    """Return a figure of each server, and why others have none."""
    aim = f"   (at most {figure.aim} {figure.unit})" if figure.aim else ""
    found = [
        f"  {name:<15}{spread(values, 1)} {figure.unit} {figure.per}"
        for name, values in figure.values.items()
    ]
    failed = [f"  {name:<15}not measured: {why}" for name, why in figure.failures.items()]
    return "\n".join([figure.name + aim, *found, *failed])
