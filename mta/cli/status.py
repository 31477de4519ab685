"""`haraka status`: does the server run, is it well, and what does it do?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mta.cli.errors import CommandError
from mta.cli.installation import queue_directory
from mta.cli.loop_line import loop_line
from mta.cli.options import Options, Parser, directory
from mta.cli.queue_table import size, span
from mta.control.client import ControlClient, NotRunning
from mta.control.master import NoMaster, ask_master
from mta.log_format import escape
from mta.outbound.spool_directory import state_directory
from mta.processes.board import added
from mta.processes.child import State

SECONDS = 5.0  # for an answer: who checks the health of a server does not wait for long
HANGS = 10.0  # seconds without a sign of life
QUEUE = ("scheduled", "ready", "parked", "held")
COLUMNS = (
    "connections",
    "accepted",
    "received",
    "rejected",
    "delivered",
    "deferred",
    "bounced",
    "queue",
    "memory",
)

Status = dict[str, Any]


def status(argv: list[str]) -> int:
    """Print how the server is; the exit status: 0 when it is well, else 1. Raises CommandError when it does not run."""
    parser = Parser("haraka status")
    parser.add_argument("-c", "--configs", type=directory)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    installation = Options("status", given.configs).installation
    try:
        found = gather(state_directory(queue_directory(installation)))
    except NotRunning as error:
        raise CommandError(str(error)) from None
    print(json.dumps(found, indent=1) if given.json else "\n".join(_lines(found)))
    return 0 if found["healthy"] else 1


def gather(state: Path) -> Status:
    """All that is known of the server, as `--json` shows it. Raises NotRunning."""
    try:
        found: Status = ask_master(state, "status", SECONDS)
    except NoMaster:
        found = _alone(state)
    else:
        _refresh(found, state)
    now = time.time()
    problems = list(_problems(found))
    ended = found.pop("ended", {})
    return {
        "healthy": not problems,
        "problems": problems,
        **found,
        "uptime": round(now - found["started"], 3),
        "sums": added([ended, *(worker["figures"] for worker in found["workers"])]),
    }


def _alone(state: Path) -> Status:
    """A server without a master."""
    with ControlClient(state, SECONDS) as client:
        said = client.ask("status")
    worker = {"slot": 0, "pid": said["pid"], "state": State.SERVING.value, "silent": 0.0}
    return {
        **{key: said[key] for key in ("version", "pid", "started")},
        "nodes": 0,
        "workers": [{**worker, "figures": said["figures"]}],
        "busy": said["busy"],
    }


def _refresh(found: Status, state: Path) -> None:
    """Put in what workers say themselves: what the master knows of them may be a second old, and of their event loops nothing."""
    try:
        with ControlClient(state, SECONDS) as client:
            said = client.ask("status")
    except NotRunning:
        return
    fresh = {each["pid"]: each["figures"] for each in said.get("workers", [said])}
    found["busy"] = said["busy"]
    for worker in found["workers"]:
        worker["figures"] = fresh.get(worker["pid"], worker["figures"])


def _problems(found: Status) -> Iterator[str]:
    if found.get("stopping"):
        yield "the server is stopping"
    workers = [worker for worker in found["workers"] if worker["state"] == State.SERVING.value]
    for slot in range(found["nodes"]):
        if slot not in [worker["slot"] for worker in workers]:
            yield f"worker {slot} does not serve"
    for worker in workers:
        if (worker["silent"] or 0.0) > HANGS:
            yield f"worker {worker['slot']} hangs for {worker['silent']:.0f} s"


def _lines(found: Status) -> Iterator[str]:
    nodes = found["nodes"]
    processes = f"master {found['pid']}, workers: {nodes}" if nodes else f"process {found['pid']}"
    yield f"Haraka {found['version']}, up {span(found['uptime'])}, {processes}"
    yield from (f"problem: {problem}" for problem in found["problems"])
    if reason := found.get("reload", {}).get("error"):
        yield f"last reload failed: {reason}"
    rows: list[tuple[str, ...]] = [("", "pid", "state", *COLUMNS)]
    for worker in found["workers"]:
        rows.append(
            (f"worker {worker['slot']}", str(worker["pid"]), worker["state"], *_cells(worker["figures"]))
        )
    rows.append(("sum", "", "", *_cells(found["sums"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        yield "  ".join([*left, *right]).rstrip()
    if "busy" in found and (line := loop_line(found["busy"])):
        yield escape(line)


def _cells(figures: Mapping[str, int]) -> list[str]:
    shown = {**figures, "queue": sum(figures[name] for name in QUEUE)}
    return [size(shown[name]) if name == "memory" else str(shown[name]) for name in COLUMNS]
