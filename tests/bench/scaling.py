"""Which scaling laws are measured, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench.law_connections import connection_laws
from tests.bench.law_plugins import plugin_laws
from tests.bench.law_queue import queue_laws, recipient_laws
from tests.bench.laws import Law, Maker, measure
from tests.bench.rows import matches

MAKERS: dict[str, Maker] = {
    "queue": queue_laws,
    "recipients": recipient_laws,
    "connections": connection_laws,
    "plugins": plugin_laws,
}


def run(work: Path, *, only: str | None, rounds: int, long: bool) -> Iterator[Law]:
    """Yield each law, measured. only: those with this in the name `law queue`, `law plugins` ...; long: at full size."""
    for name, make in MAKERS.items():
        if matches(f"law {name}", only):
            yield from measure(make, work / f"law-{name}", rounds=rounds, long=long)
