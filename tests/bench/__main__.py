"""Measure this server against Haraka 3.1.6 and its peers: `python -m tests.bench`. Prints figures, judges none of them."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import (
    comparisons,
    document,
    fanout,
    latency,
    memory,
    names,
    report,
    rows,
    sessions,
    smoke,
    throughput,
)
from tests.bench.load import LoadFailed
from tests.bench.throughput import Plan, Result
from tests.support import haraka_js
from tests.support.needs import find_program
from tests.support.server import StartupFailed

FULL = Plan(rounds=5, seconds=1.0, warm_up=4000)
QUICK = Plan(rounds=2, seconds=1.0, warm_up=4000)
PROGRAMS = {"smtp-source": "postfix", "smtp-sink": "postfix", "openssl": "openssl"}
HARAKA_PROGRAMS = {"node": "nodejs", "npm": "npm"}


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the telling rows only, in some minutes")
    parser.add_argument("--smoke", action="store_true", help="each kind of row once, to see whether it runs")
    parser.add_argument(
        "--only", metavar="PATTERN", help="rows with this in their name, for example 'relay 1k'"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every sample to a file")
    parser.add_argument("--rounds", type=int, metavar="N", help="runs a row and server (5, quick: 2)")
    parser.add_argument(
        "--idle", type=int, action="append", metavar="N", help="idle connections (1000); may repeat"
    )
    parser.add_argument(
        "--server",
        choices=names.EVERYBODY,
        action="append",
        default=[],
        help="measure this one in all that it can do, and nobody else; may repeat",
    )
    parser.add_argument("--all-peers", action="store_true", help="everybody in every row that they can do")
    return parser.parse_args(argv)


def lacking(programs: dict[str, str]) -> bool:
    """Say on standard error what has to be installed first."""
    absent = {name: package for name, package in programs.items() if find_program(name) is None}
    for name, package in absent.items():
        print(f"{name} is not here: apt-get install {package}", file=sys.stderr)
    return bool(absent)


def prepare(options: argparse.Namespace) -> bool:
    """Install Haraka if it is wanted; False when something is missing."""
    with_haraka = not options.server or {names.HARAKA, names.HARAKA_NODES} & set(options.server)
    if lacking(PROGRAMS | (HARAKA_PROGRAMS if with_haraka else {})):
        return False
    if with_haraka:
        try:
            haraka_js.install_plugins()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"npm could not install Haraka {haraka_js.VERSION}: {error}", file=sys.stderr)
            return False
    memory.raise_file_limit()
    return True


def plan_of(options: argparse.Namespace) -> Plan:
    plan = smoke.PLAN if options.smoke else QUICK if options.quick else FULL
    return Plan(options.rounds or plan.rounds, plan.seconds, plan.warm_up)


class Bench:
    """One run: what was asked for, and what was found so far."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options = options
        self.work = work
        self.plan = plan_of(options)
        self.rows: list[Result] = []
        self.figures: list[document.Part] = []
        self.laws: list[document.Part] = []
        self.hub: list[document.Part] = []

    def run(self) -> None:
        """Measure all that is asked for. Raises StartupFailed, LoadFailed."""
        self.throughput()
        self.latency()
        self.sessions()
        self.fanout()
        self.memory()
        self.comparisons()

    def of(self, row: rows.Named) -> list[str]:
        """Return who takes part in a row."""
        asked = self.options.server, self.options.all_peers
        return [name for name in names.EVERYBODY if rows.takes_part(row, name, *asked)]

    def chosen(self, every: Sequence[rows.AnyRow]) -> list[rows.AnyRow]:
        found = rows.chosen(every, self.options.only, self.options.quick)
        return smoke.one_of_each_kind(found) if self.options.smoke else found

    def add(self, result: Result) -> None:
        print(report.block(result), end="\n\n", flush=True)
        self.rows.append(result)

    def throughput(self) -> None:
        wanted = {row: names for row in self.chosen(list(rows.every_row())) if (names := self.of(row))}
        for kind in dict.fromkeys(row.kind for row in wanted):
            of_kind = {row: names for row, names in wanted.items() if row.kind == kind}
            for result in throughput.measure(kind, of_kind, self.work, self.plan):
                self.add(result)

    def latency(self) -> None:
        for row in self.chosen(rows.LATENCY_ROWS):
            if takers := self.of(row):
                self.add(latency.measure(row, takers, self.work, self.plan))

    def sessions(self) -> None:
        for row in self.chosen(rows.SESSION_ROWS):
            for result in sessions.measure([row], self.of(row), self.work, self.plan):
                self.add(result)

    def fanout(self) -> None:
        for row in self.chosen(rows.FANOUT_ROWS):
            result, sizes = fanout.measure(row, self.of(row), self.work, self.plan.rounds)
            self.add(result)
            self.add_sizes(sizes)

    def memory(self) -> None:
        rounds = 1 if self.options.quick else self.plan.rounds
        idle = smoke.IDLE if self.options.smoke else [1000]
        for name in memory.row_names(self.options.idle or idle):
            if rows.matches(name, self.options.only):
                servers = [who for who in names.PAIR if who in (self.options.server or names.PAIR)]
                self.add_sizes([memory.measure(name, servers, self.work, rounds)])

    def add_sizes(self, sizes: Sequence[memory.MemoryResult]) -> None:
        for size in sizes:
            print(report.memory_line(size), flush=True)
            self.figures.append(document.figure(size))
        print()

    def comparisons(self) -> None:
        for promise, found in comparisons.measured(self.rows):
            print(comparisons.line(promise, found), flush=True)
            self.figures.append(comparisons.figure(promise, found))


def main(argv: Sequence[str]) -> int:
    options = arguments(argv)
    if not prepare(options):
        return 2
    work = haraka_js.WORK / "run"
    shutil.rmtree(work, ignore_errors=True)
    bench = Bench(options, work)
    try:
        bench.run()
    except (StartupFailed, LoadFailed) as error:
        print(f"a server failed: {error}", file=sys.stderr)
        return 1
    finally:
        if options.json:
            parts = bench.rows, bench.figures, bench.laws, bench.hub
            document.write(options.json, document.compose(bench.plan, *parts))
    return smoke.status(bench.rows) if options.smoke else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
