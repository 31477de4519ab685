"""Where and when it was measured."""

from __future__ import annotations

from tests.bench.page.markdown import table
from tests.bench.page.run import Run

NAMES = {"cpus": "processors", "model": "processor", "memory_mb": "memory, MB", "python": "Python"}


def machine_table(run: Run) -> str:
    """The run's date and plan, and all that it says about the machine."""
    plan = run.content["plan"]
    lines = [
        ["made", run.content["made"].replace("T", " ").replace("Z", " UTC")],
        ["version", run.content["version"]],
        *([NAMES.get(key, key), str(value)] for key, value in run.content["machine"].items()),
        ["runs of each row", f"{plan['rounds']}, of about {plan['seconds']:g} s each"],
    ]
    return table(["", ""], lines)
