"""The figures as one object that is written as JSON, so that runs can be compared and drawn."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from mta.version import VERSION
from tests.bench.load import Sample
from tests.bench.throughput import Plan, Result
from tests.bench.versions import versions

Part: TypeAlias = Mapping[str, Any]  # one entry of `figures`, `laws` or `hub`


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processors, memory in MB, and versions."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpus": os.cpu_count(),
        "model": model[1] if model else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
        **versions(),
    }


def sample(run: Sample) -> dict[str, float]:
    """Return a run's figures; what was not measured is absent."""
    optional = {key: value for key, value in asdict(run).items() if key in ("rss_mb", "p50_ms", "p99_ms")}
    measured = {key: value for key, value in optional.items() if value is not None}
    return {"rate": run.rate, "cpu_ms": run.cpu_ms, "messages": run.messages, **measured}


def row(result: Result) -> dict[str, Any]:
    reach, dream = result.row.goal or (None, None)
    return {
        "row": result.row.name,
        "kind": result.row.kind,
        "unit": result.row.unit,
        "reach": reach,
        "dream": dream,
        "servers": {name: [sample(run) for run in runs] for name, runs in result.samples.items()},
        "failures": result.failures,
    }


def compose(
    plan: Plan,
    rows: Sequence[Result],
    figures: Sequence[Part] = (),
    laws: Sequence[Part] = (),
    hub: Sequence[Part] = (),
) -> dict[str, Any]:
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": VERSION,
        "machine": machine(),
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds},
        "rows": [row(result) for result in rows],
        "figures": list(figures),
        "laws": list(laws),
        "hub": list(hub),
    }


def write(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n")
