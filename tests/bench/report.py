"""The figures as a table for people and as JSON for comparing runs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.figure import Figure
from tests.bench.load import Sample
from tests.bench.servers import HARAKA, OURS
from tests.bench.throughput import Result

MEMORY_HEADER = f"{'figure':<24} {'Haraka':>26} {'ours':>26} {'aim for ours':>16}"


def header(load: str, unit: str) -> str:
    """Return the head of a table of loads that are counted in `unit`."""
    return (
        f"{load:<24} {f'Haraka {unit}/s':>20} {f'ours {unit}/s':>22} {'ours/H':>7}   "
        f"{f'Haraka CPU ms/{unit}':>22} {f'ours CPU ms/{unit}':>22} {'ours/H':>7} {'aim':>6}"
    )


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _ratio(result: Result, of: Callable[[Sample], float]) -> str:
    medians = [
        median([of(sample) for sample in result.samples[name]]) if result.samples.get(name) else 0.0
        for name in (OURS, HARAKA)
    ]
    return f"{medians[0] / medians[1]:.2f}" if all(medians) else "-"


def line(result: Result) -> str:
    """Return one row of the table: medians with the lowest and highest of the runs, and ours to Haraka's."""
    rates = {name: _spread([s.rate for s in samples], 0) for name, samples in result.samples.items()}
    cpus = {name: _spread([s.cpu_ms for s in samples], 3) for name, samples in result.samples.items()}
    text = (
        f"{result.row.name:<24} {rates.get(HARAKA, '-'):>20} {rates.get(OURS, '-'):>22} "
        f"{_ratio(result, lambda sample: sample.rate):>7}   {cpus.get(HARAKA, '-'):>22} {cpus.get(OURS, '-'):>22} "
        f"{_ratio(result, lambda sample: sample.cpu_ms):>7} {result.row.aim or '-':>6}"
    )
    failed = "".join(f"\n    {name} failed: {why}" for name, why in result.failures.items())
    return text + failed


def memory_line(result: Figure) -> str:
    figures = [
        f"{_spread(values, 1)} {result.unit} {result.per}" if (values := result.values.get(name)) else "-"
        for name in (HARAKA, OURS)
    ]
    aim = f"< {result.aim} {result.unit}" if result.aim else "-"
    line = f"{result.name:<24} {figures[0]:>26} {figures[1]:>26} {aim:>16}"
    return line + "".join(f"\n    {name} failed: {why}" for name, why in result.failures.items())


def write_json(
    path: Path,
    results: Sequence[Result],
    figures: Sequence[Figure],
    laws: Sequence[dict[str, Any]],
    hub: Sequence[dict[str, Any]],
) -> None:
    """Write every sample, so that two runs can be compared."""
    content = {
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
        "loads": [
            {
                "row": result.row.name,
                "failures": result.failures,
                **{
                    name: [{"rate": s.rate, "cpu_ms": s.cpu_ms, "messages": s.messages} for s in samples]
                    for name, samples in result.samples.items()
                },
            }
            for result in results
        ],
        "figures": [figure.part() for figure in figures],
        "laws": laws,
        "hub": hub,
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
