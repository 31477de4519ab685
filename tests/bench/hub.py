"""For how long each row holds the event loop of this server: the difference of two looks at `haraka status`.

By the clock, and by processor time (`cpu`): while the machine serves the load and the next hop, the clock goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from mta.control.client import ControlClient, NotRunning
from mta.outbound.spool_directory import state_directory
from tests.bench.servers import OURS

REACH_MS = 20
Busy = Mapping[str, Any]  # `busy` of a status, see docs/Blocking.md
Part = dict[str, Any]  # an element of the JSON's `hub`


class Watched(Protocol):
    """A server whose queue directory is known."""

    @property
    def queue(self) -> Path: ...


class Named(Protocol):
    """One server of a row."""

    @property
    def name(self) -> str: ...

    @property
    def server(self) -> Any: ...


def read(server: Watched) -> Busy:
    """Return what a running server has counted since it was started. Raises NotRunning."""
    with ControlClient(state_directory(server.queue)) as client:
        busy: Busy = client.ask("status")["busy"]
        return busy


def read_all(contenders: Sequence[Named]) -> dict[str, Busy]:
    """Return what those of a row have counted that are this server and still run, by name."""
    found = {}
    for each in contenders:
        if each.name.startswith(OURS):
            with suppress(NotRunning):
                found[each.name] = read(each.server)
    return found


def parts(row: str, before: Mapping[str, Busy], after: Mapping[str, Busy]) -> Iterator[Part]:
    """Yield how long each held its loop between two looks at all; a row of the second and further ones has their name in it."""
    for name in [name for name in after if name in before]:
        yield part(row if name == OURS else f"{row}, {name}", before[name], after[name])


@contextmanager
def watching(row: str, server: Watched | None, found: list[Part]) -> Iterator[None]:
    """Add how long a server held its loop in the block to what was found; None: another one's. Raises NotRunning."""
    if server is None:
        yield
        return
    before = read(server)
    yield
    add(found, part(row, before, read(server)))


def since_start(row: str, server: Watched) -> Part:
    """Return how long a server held its loop until now. Raises NotRunning."""
    busy = read(server)
    nothing = {"histogram": dict.fromkeys(busy["histogram"], 0), "longest": 0.0}
    return part(row, {**nothing, "cpu": nothing}, busy)


def add(found: list[Part], new: Part) -> None:
    """Add a row; one that is there already, from another round, gets the sums, and the longest of both."""
    for known in found:
        if known["row"] == new["row"]:
            cpu = joined(known["cpu"], new["cpu"])
            known.update(joined(known, new), cpu=cpu)
            return
    found.append(new)


def joined(one: Part, other: Part) -> Part:
    """Return two parts' sums, and what is known of the longer one."""
    worse = max(one, other, key=lambda each: float(each["longest_ms"]))
    pairs = zip(one["histogram"], other["histogram"], strict=True)
    return {**worse, "histogram": [[bound, count + more] for (bound, count), (_, more) in pairs]}


def part(row: str, before: Busy, after: Busy) -> Part:
    """Return how long the loop was held between two looks."""
    found = {"row": row, **durations(before, after), "cpu": durations(before["cpu"], after["cpu"])}
    if after["longest"] > before["longest"] and after["longest_at"]:
        found["longest_at"] = after["longest_at"]
    return found


def durations(before: Busy, after: Busy) -> Part:
    """Return what a histogram has grown by between two looks, and the longest in it."""
    grown = {name: count - before["histogram"][name] for name, count in after["histogram"].items()}
    columns = [[int(name) if name.isdigit() else name, count] for name, count in grown.items()]
    return {"longest_ms": longest_ms(grown, before["longest"], after["longest"]), "histogram": columns}


def longest_ms(grown: Mapping[str, int], before: float, after: float) -> float:
    """Return the longest turn, in ms: exactly if none before it was longer, else the bound of the highest column that has grown.

    before, after: the longest since the server was started, in seconds.
    """
    if after > before:
        return round(after * 1000, 1)
    highest = [name for name, count in grown.items() if count]
    if not highest or not highest[-1].isdigit():
        return round(after * 1000, 1) if highest else 0.0
    return float(min(int(highest[-1]), round(after * 1000, 1)))


def line(found: Part) -> str:
    """For people: the row, its longest turn, and how many turns were longer than a millisecond."""
    longer = ", ".join(f"to {bound} ms: {count}" for bound, count in found["histogram"][1:] if count)
    where = f" at {found['longest_at'].get('at', '?')}" if "longest_at" in found else ""
    over = "  OVER" if found["longest_ms"] > REACH_MS else ""
    most = f"{found['longest_ms']:.1f} ms{where}, {found['cpu']['longest_ms']:.1f} ms of CPU"
    return f"{found['row']:<24} loop held at most {most}; {longer or 'none over 1 ms'}{over}".replace(
        "to more ms", "more"
    )
