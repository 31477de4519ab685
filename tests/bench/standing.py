"""The figures of a server that starts, or stands and waits: start-up, and idle connections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import hub, idle, startup
from tests.bench.figure import Figure
from tests.bench.rows import matches

IDLE = 10_000


def run(
    servers: Sequence[str],
    work: Path,
    *,
    only: str | None,
    rounds: int,
    long: bool,
    counts: Sequence[int],
    held: list[hub.Part],
) -> Iterator[Figure]:
    """Yield the figures. only: a part of the name of what gives them; long: at full size; counts: of idle connections.

    held: gets how long our event loop was held in each.
    """
    if matches("start to banner", only):
        yield from startup.measure_start(servers, work, rounds)
    entries = startup.VERY_MANY if long else startup.MANY
    if matches(f"queue start-up {startup.short(entries)}", only):
        yield from startup.measure_queue(entries, servers, work, 1, held)
    for count in counts:
        if matches(f"idle {count}", only):
            yield from idle.measure(count, servers, work, 1, held)
