"""Measure this server against Haraka 3.1.6 and its peers: `python -m tests.bench`. Prints figures, judges none of them."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mta.control.client import NotRunning
from tests.bench import (
    comparisons,
    document,
    fanout,
    hub,
    latency,
    memory,
    names,
    report,
    rows,
    scaling,
    sessions,
    smoke,
    standing,
    throughput,
)
from tests.bench.figure import Figure
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
    parser.add_argument("--seconds", type=float, metavar="S", help="about how long a run takes (1.0)")
    parser.add_argument(
        "--warm-up", type=int, metavar="N", help="messages before a server is measured (4000)"
    )
    parser.add_argument(
        "--idle", type=int, action="append", metavar="N", help="idle connections (10000); may repeat"
    )
    parser.add_argument("--laws", action="store_true", help="the scaling laws alone, and none of the rows")
    parser.add_argument(
        "--long", action="store_true", help="everything at full size, with the laws, and 1 000 000 entries"
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
            print(
                f"npm could not install Haraka {haraka_js.VERSION} and its plugins: {error}", file=sys.stderr
            )
            return haraka_js.installed()
    return True


def plan_of(options: argparse.Namespace) -> Plan:
    plan = smoke.PLAN if options.smoke else QUICK if options.quick else FULL
    warm_up = plan.warm_up if options.warm_up is None else options.warm_up
    return Plan(options.rounds or plan.rounds, options.seconds or plan.seconds, warm_up)


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

    def run(self) -> bool:
        """Measure all that is asked for; False when a part of it ended early because a server failed."""
        whole = True
        for part in self.parts():
            try:
                part()
            except (StartupFailed, LoadFailed, NotRunning) as error:
                print(f"a server failed: {error}", file=sys.stderr)
                whole = False
        self.sum_up()
        return whole

    def parts(self) -> Iterator[Callable[[], None]]:
        """Yield what measures each part that is asked for."""
        if not self.options.laws:
            yield from (self.run_throughput, self.run_latency, self.run_sessions, self.run_fanout)
            if self.pair():
                yield from (self.run_memory, self.run_standing)
        if self.options.laws or self.options.long:
            yield self.run_laws

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
        self.hub.extend(result.hub)

    def wanted(self, every: Iterable[rows.AnyRow]) -> dict[rows.AnyRow, list[str]]:
        """Return the rows that are asked for and that somebody takes part in, and who."""
        return {row: takers for row in self.chosen(list(every)) if (takers := self.of(row))}

    def run_throughput(self) -> None:
        wanted = self.wanted(rows.every_row())
        for kind in dict.fromkeys(row.kind for row in wanted):
            of_kind = {row: takers for row, takers in wanted.items() if row.kind == kind}
            for result in throughput.measure(kind, of_kind, self.work, self.plan):
                self.add(result)

    def run_latency(self) -> None:
        for row, takers in self.wanted(rows.LATENCY_ROWS).items():
            self.add(latency.measure(row, takers, self.work, self.plan))

    def run_sessions(self) -> None:
        for row, takers in self.wanted(rows.SESSION_ROWS).items():
            for result in sessions.measure([row], takers, self.work, self.plan):
                self.add(result)

    def run_fanout(self) -> None:
        for row, takers in self.wanted(rows.FANOUT_ROWS).items():
            result, sizes = fanout.measure(row, takers, self.work, self.plan.rounds)
            self.add(result)
            self.add_figures(sizes)

    def pair(self) -> list[str]:
        """Return who takes part in what is no load: Haraka and this server, or one of them."""
        return [name for name in names.PAIR if name in (self.options.server or names.PAIR)]

    def run_memory(self) -> None:
        rounds = 1 if self.options.quick else self.plan.rounds
        for name in memory.ROW_NAMES:
            if rows.matches(name, self.options.only):
                self.add_figures([memory.measure(name, self.pair(), self.work, rounds)])

    def run_standing(self) -> None:
        self.add_figures(
            standing.run(
                self.pair(),
                self.work,
                only=self.options.only,
                rounds=self.plan.rounds,
                long=self.options.long,
                counts=self.options.idle or (smoke.IDLE if self.options.smoke else [standing.IDLE]),
                held=self.hub,
            )
        )

    def run_laws(self) -> None:
        options = self.options
        for law in scaling.run(self.work, only=options.only, rounds=self.plan.rounds, long=options.long):
            print(*law.lines(), sep="\n", end="\n\n", flush=True)
            self.laws.append(law.part(names.OURS))

    def add_figures(self, figures: Iterable[Figure]) -> None:
        for figure in figures:
            print(report.figure_lines(figure), end="\n\n", flush=True)
            self.figures.append(figure.part())

    def sum_up(self) -> None:
        for promise, found in comparisons.measured(self.rows):
            print(comparisons.line(promise, found), flush=True)
            self.figures.append(comparisons.figure(promise, found))
        for part in self.hub:
            print(hub.line(part))


def main(argv: Sequence[str]) -> int:
    options = arguments(argv)
    if not prepare(options):
        return 2
    work = haraka_js.WORK / "run"
    shutil.rmtree(work, ignore_errors=True)
    memory.raise_file_limit()
    print(report.LEGEND, end="\n\n")
    bench = Bench(options, work)
    try:
        whole = bench.run()
    finally:
        if options.json:
            parts = bench.rows, bench.figures, bench.laws, bench.hub
            document.write(options.json, document.compose(bench.plan, *parts))
    if options.smoke and smoke.status(bench.rows):
        return 1
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
