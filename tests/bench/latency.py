"""How long a message takes through a relay, from before its MAIL to its end of data at the next hop, at the same load for all.

The load is a share of what Haraka can do with as many connections, found out by a short run. It goes into whatever is measured.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench import latency_load, servers
from tests.bench.hop import Hop
from tests.bench.load import RUN_LIMIT, Loaded, LoadFailed, Sample, run, settled_cpu, warm_up
from tests.bench.names import HARAKA
from tests.bench.rows import LatencyRow
from tests.bench.throughput import Plan, Result, by_turns, reason
from tests.support import proc
from tests.support.server import StartupFailed, eventually

SHARE = 0.6  # of Haraka's messages a second
LONGER = 4.0  # than other runs: for some hundreds of messages, so that a percentile says something
PROBE_SECONDS = 2.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]


@dataclass(frozen=True)
class Contender:
    """One server, its next hop, and the messages a second that it gets."""

    name: str
    server: Loaded
    hop: Hop
    rate: float = 0.0

    def run(self, row: LatencyRow, count: int) -> Sample:
        """Send so many messages at the rate. Raises LoadFailed."""
        before = self.hop.timed
        with _load(self.server.port, row.connections, count, self.rate) as load:
            proc.forget_peak(self.server.pid)
            cpu, start = self.server.cpu_seconds, time.monotonic()
            _begin(load)
            if not eventually(lambda: self.hop.timed >= before + count, RUN_LIMIT, 0.01):
                raise LoadFailed(f"{self.hop.timed - before} of {count} messages reached the next hop")
            seconds = time.monotonic() - start
            cpu = settled_cpu(self.server) - cpu
        times = self.hop.times(before)
        peak = proc.peak_rss_kib(self.server.pid) / 1024
        return Sample(count, seconds, cpu, peak, percentile(times, 0.50), percentile(times, 0.99))

    def capacity(self, row: LatencyRow) -> float:
        """Return how many messages a second it takes when they come as fast as they can."""

        def load(count: int) -> float:
            return run(
                self.server, self.hop, count=count, size=1024, connections=row.connections, kept=True
            ).rate

        return load(max(200, int(load(max(200, row.connections)) * PROBE_SECONDS)))


def _load(port: int, connections: int, count: int, rate: float) -> subprocess.Popen[str]:
    words = [port, connections, count, rate]
    command = [sys.executable, latency_load.__file__, *map(str, words)]
    return subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _begin(load: subprocess.Popen[str]) -> None:
    assert load.stdin and load.stdout
    if load.stdout.readline() != "ready\n":
        raise LoadFailed("the load could not open its connections")
    load.stdin.write("go\n")
    load.stdin.flush()


def measure(row: LatencyRow, names: Sequence[str], work: Path, plan: Plan) -> Result:
    """Measure a row, each server with a next hop of its own."""
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        ready = list(_started(row, names, work / row.name.replace(" ", "-"), plan, stack, failures))
        if not ready:
            return Result(row, failures=failures)
        asked = next((contender for contender in ready if contender.name == HARAKA), ready[0])
        rate = asked.capacity(row) * SHARE
        print(f"{rate:.0f} messages/s, {SHARE:.0%} of what {asked.name} can do:", flush=True)
        contenders = [replace(contender, rate=rate) for contender in ready]
        result = by_turns(row, contenders, replace(plan, seconds=plan.seconds * LONGER))
    result.failures |= failures
    return result


def _started(
    row: LatencyRow,
    names: Sequence[str],
    directory: Path,
    plan: Plan,
    stack: ExitStack,
    failures: dict[str, str],
) -> Iterator[Contender]:
    """Yield the servers that start, warm; into `failures` goes why another does not."""
    for name in names:
        place = directory / name.replace(" ", "-")
        try:
            hop = stack.enter_context(Hop(place / "hop"))
            server = servers.contender(name, row.kind, place / "server", hop.port)
            contender = Contender(name, stack.enter_context(server), hop)
            warm_up(contender.server, hop, plan.warm_up)
        except (LoadFailed, StartupFailed) as error:
            failures[name] = reason(error)
        else:
            yield contender
