"""Measure this server against Haraka 3.1.6: `python -m tests.bench`. Prints figures, judges none of them."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import fanout, hub, laws, memory, report, scaling, sessions, standing, throughput
from tests.bench.figure import Figure
from tests.bench.load import LoadFailed
from tests.bench.rows import FANOUT_ROWS, SESSION_ROWS, chosen, every_row, matches
from tests.bench.servers import HARAKA, OURS
from tests.bench.throughput import Plan, Result
from tests.support import haraka_js
from tests.support.needs import find_program
from tests.support.server import StartupFailed

FULL = Plan(rounds=3, seconds=1.5, warm_up=4000)
QUICK = Plan(rounds=2, seconds=1.0, warm_up=4000)
PROGRAMS = {"smtp-source": "postfix", "smtp-sink": "postfix", "openssl": "openssl"}
HARAKA_PROGRAMS = {"node": "nodejs", "npm": "npm"}


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the telling rows only, in about four minutes")
    parser.add_argument(
        "--only", metavar="PATTERN", help="rows with this in their name, for example 'relay 1k'"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every sample to a file")
    parser.add_argument("--rounds", type=int, metavar="N", help="runs a row and server (3, quick: 2)")
    parser.add_argument(
        "--idle", type=int, action="append", metavar="N", help="idle connections (10000); may repeat"
    )
    parser.add_argument("--laws", action="store_true", help="the scaling laws alone, and none of the rows")
    parser.add_argument(
        "--long", action="store_true", help="everything at full size, with the laws, and 1 000 000 entries"
    )
    parser.add_argument("--server", choices=[HARAKA, OURS], help="measure one of the two alone")
    return parser.parse_args(argv)


def lacking(programs: dict[str, str]) -> bool:
    """Say on standard error what has to be installed first."""
    absent = {name: package for name, package in programs.items() if find_program(name) is None}
    for name, package in absent.items():
        print(f"{name} is not here: apt-get install {package}", file=sys.stderr)
    return bool(absent)


def prepare(options: argparse.Namespace) -> bool:
    """Install Haraka if it is wanted; False when something is missing."""
    with_haraka = options.server != OURS
    if lacking(PROGRAMS | (HARAKA_PROGRAMS if with_haraka else {})):
        return False
    if with_haraka:
        try:
            haraka_js.install()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"npm could not install Haraka {haraka_js.VERSION}: {error}", file=sys.stderr)
            return False
    memory.raise_file_limit()
    return True


def plan_of(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else FULL
    return Plan(options.rounds or plan.rounds, plan.seconds, plan.warm_up)


def run_throughput(options: argparse.Namespace, names: list[str], work: Path) -> list[Result]:
    plan = plan_of(options)
    rows = chosen(every_row(), options.only, options.quick)
    results: list[Result] = []
    if rows:
        print(report.header("load", "msg"), flush=True)
    for kind in ("discard", "relay"):
        wanted = [row for row in rows if row.kind == kind]
        for result in throughput.measure(kind, wanted, names, work, plan) if wanted else ():
            print(report.line(result), flush=True)
            results.append(result)
    return results


def run_sessions(options: argparse.Namespace, names: list[str], work: Path) -> list[Result]:
    rows = chosen(SESSION_ROWS, options.only, options.quick)
    results: list[Result] = []
    if rows:
        print("\n" + report.header("sessions over STARTTLS", "session"), flush=True)
    for result in sessions.measure(rows, names, work, plan_of(options)):
        print(report.line(result), flush=True)
        results.append(result)
    return results


def run_fanout(
    options: argparse.Namespace, names: list[str], work: Path
) -> tuple[list[Result], list[Figure]]:
    rows = chosen(FANOUT_ROWS, options.only, options.quick)
    loads: list[Result] = []
    sizes: list[Figure] = []
    if rows:
        print("\n" + report.header("one message to many", "rcpt"), flush=True)
    for row in rows:
        load, figures = fanout.measure(row, names, work, plan_of(options).rounds)
        print(report.line(load), *map(report.memory_line, figures), sep="\n", flush=True)
        loads.append(load)
        sizes += figures
    return loads, sizes


def run_memory(options: argparse.Namespace, names: list[str], work: Path) -> list[Figure]:
    rounds = 1 if options.quick else options.rounds or FULL.rounds
    wanted = [name for name in memory.ROW_NAMES if matches(name, options.only)]
    results: list[Figure] = []
    if wanted:
        print("\n" + report.MEMORY_HEADER, flush=True)
    for name in wanted:
        result = memory.measure(name, names, work, rounds)
        print(report.memory_line(result), flush=True)
        results.append(result)
    return results


def run_standing(
    options: argparse.Namespace, names: list[str], work: Path, held: list[hub.Part]
) -> list[Figure]:
    results: list[Figure] = []
    for figure in standing.run(
        names,
        work,
        only=options.only,
        rounds=options.rounds or FULL.rounds,
        long=options.long,
        counts=options.idle or [standing.IDLE],
        held=held,
    ):
        print(report.memory_line(figure), flush=True)
        results.append(figure)
    return results


def run_laws(options: argparse.Namespace, work: Path) -> list[laws.Law]:
    results: list[laws.Law] = []
    for law in scaling.run(work, only=options.only, rounds=plan_of(options).rounds, long=options.long):
        print(*law.lines(), sep="\n", end="\n\n", flush=True)
        results.append(law)
    return results


def main(argv: Sequence[str]) -> int:
    options = arguments(argv)
    if not prepare(options):
        return 2
    names = [options.server] if options.server else [HARAKA, OURS]
    work = haraka_js.WORK / "run"
    shutil.rmtree(work, ignore_errors=True)
    loads: list[Result] = []
    sizes: list[Figure] = []
    found: list[laws.Law] = []
    held: list[hub.Part] = []
    try:
        if not options.laws:
            loads = run_throughput(options, names, work) + run_sessions(options, names, work)
            many, sizes = run_fanout(options, names, work)
            loads += many
            held = [each for load in loads for each in load.hub]
            sizes += run_memory(options, names, work) + run_standing(options, names, work, held)
        if options.laws or options.long:
            found = run_laws(options, work)
    except (StartupFailed, LoadFailed) as error:
        print(f"a server failed: {error}", file=sys.stderr)
        return 1
    for part in held:
        print(hub.line(part))
    if options.json:
        report.write_json(options.json, loads, sizes, [law.part(OURS) for law in found], held)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
