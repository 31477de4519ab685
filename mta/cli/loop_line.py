"""How long the event loop was held, as one line for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def loop_line(busy: Mapping[str, Any]) -> str:
    """The line about `busy` of a status; "" when nothing was counted, for nobody watches."""
    columns = {name: count for name, count in busy["histogram"].items() if count}
    if not columns:
        return ""
    turns = ", ".join(f"{_bound(name)}: {count}" for name, count in columns.items())
    most = f"{busy['longest'] * 1000:.0f} ms{_place(busy['longest_at'])}"
    return f"event loop held at most {most}, {busy['cpu']['longest'] * 1000:.0f} ms of CPU; turns {turns}"


def _bound(name: str) -> str:
    return f"to {name} ms" if name.isdigit() else name


def _place(where: Mapping[str, str]) -> str:
    if not where:
        return ""
    hook = f" at {where['hook']}" if "hook" in where else ""
    return f" (by {where['plugin']}{hook}, {where['at']})"
