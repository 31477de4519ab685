"""Messages a second and CPU a message, all servers under the same load by turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.bench import hub, kinds, servers
from tests.bench.hop import Hop
from tests.bench.load import Counting, Loaded, LoadFailed, Sample, run, warm_up
from tests.bench.rows import Named, Row
from tests.support.server import ROOT, StartupFailed
from tests.support.sink import PostfixSink

REASON_LENGTH = 120


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure."""

    rounds: int
    seconds: float  # what one run should take
    warm_up: int  # small messages before the first measurement


@dataclass
class Result:
    """The samples of one row by server, and why a server has none."""

    row: Named
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    hub: list[hub.Part] = field(default_factory=list)


class Probed(Named, Protocol):
    """A row that says how many messages are enough to guess how fast a server is."""

    @property
    def probe_messages(self) -> int: ...


Measured = TypeVar("Measured", bound=Probed, contravariant=True)


class Runs(Protocol[Measured]):
    """One server under load; `run` raises LoadFailed."""

    @property
    def name(self) -> str: ...

    @property
    def server(self) -> Any: ...

    def run(self, row: Measured, count: int, /) -> Sample: ...


@dataclass(frozen=True)
class Contender:
    """One server that smtp-source sends to."""

    name: str
    server: Loaded
    sink: Counting | None
    numbered: bool

    def run(self, row: Row, count: int) -> Sample:
        return run(
            *(self.server, self.sink),
            count=count,
            size=row.size,
            connections=row.connections,
            kept=row.kept,
            numbered=self.numbered,
        )


def measure(kind: str, rows: Mapping[Row, Sequence[str]], work: Path, plan: Plan) -> Iterator[Result]:
    """Start the servers once for all rows of a kind and yield each row's result; `rows` says who takes part in which."""
    with ExitStack() as stack:
        contenders: list[Contender] = []
        failures: dict[str, str] = {}
        for name in dict.fromkeys(name for names in rows.values() for name in names):
            try:
                contenders.append(_start(name, kind, work, stack))
                warm_up(contenders[-1].server, contenders[-1].sink, plan.warm_up)
            except (LoadFailed, StartupFailed) as error:
                failures[name] = reason(error)
        ready = [contender for contender in contenders if contender.name not in failures]
        for row, names in rows.items():
            result = by_turns(row, [contender for contender in ready if contender.name in names], plan)
            result.failures |= {name: why for name, why in failures.items() if name in names}
            yield result


def _start(name: str, kind: str, work: Path, stack: ExitStack) -> Contender:
    directory = work / f"{kind}-{name.replace(' ', '-')}"
    mixed = kind == "relay-mixed"
    sink: Counting | None = None
    if kinds.has_next_hop(kind):
        directory.mkdir(parents=True)
        sink = stack.enter_context(Hop(directory / "hop") if mixed else PostfixSink(directory / "sink"))
    server = servers.contender(name, kind, directory / "server", sink.port if sink else None)
    return Contender(name, stack.enter_context(server), sink, mixed)


def reason(error: Exception) -> str:
    """Return why a server is not measured: of what it printed the last line."""
    last = str(error).strip().splitlines()[-1].replace(f"{ROOT}/", "")
    return last if len(last) <= REASON_LENGTH else f"{last[:REASON_LENGTH]} ..."


def by_turns(row: Measured, contenders: Sequence[Runs[Measured]], plan: Plan) -> Result:
    """Measure a row, the servers in changing order."""
    result = Result(row)
    counts: dict[str, int] = {}
    before = hub.read_all(contenders)
    for round_number in range(plan.rounds):
        turn = contenders if round_number % 2 == 0 else list(reversed(contenders))
        for contender in turn:
            if contender.name in result.failures:
                continue
            try:
                sample = _run_once(contender, row, counts, plan.seconds)
            except LoadFailed as error:
                result.failures[contender.name] = str(error)
            else:
                result.samples.setdefault(contender.name, []).append(sample)
    result.hub.extend(hub.parts(row.name, before, hub.read_all(contenders)))
    return result


def _run_once(contender: Runs[Measured], row: Measured, counts: dict[str, int], seconds: float) -> Sample:
    """Run for about so many seconds; the first time a short run finds out how many messages that takes."""
    if contender.name not in counts:
        probe = contender.run(row, row.probe_messages)
        counts[contender.name] = max(row.probe_messages, int(probe.rate * seconds))
        if probe.seconds >= seconds:
            return probe
    return contender.run(row, counts[contender.name])
