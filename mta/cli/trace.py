"""`haraka trace`: the life of a message from its first byte to its last delivery, from events or logs, and the queue."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mta.cli.errors import CommandError, UsageError
from mta.cli.installation import open_config, queue_directory
from mta.cli.options import Options, Parser
from mta.cli.queue_expr import parse_expression
from mta.cli.queue_items import Item, gather
from mta.cli.trace_lines import Record, lines_with, rotated
from mta.cli.trace_story import story
from mta.cli.trace_target import Search, within
from mta.config.schema import LogSettings, SmtpSettings
from mta.control.client import ControlClient, NotRunning, Refused
from mta.log_format import escape
from mta.outbound.spool_directory import state_directory
from mta.outbound.spool_errors import SpoolError
from mta.outbound.status import QueuedEntry, list_queue

STANDARD_INPUT = Path("-")
EVERYTHING = parse_expression("")


def trace(argv: list[str]) -> int:
    """Print what is known; 0, or 1 when nothing is. Raises UsageError, CommandError."""
    parser = Parser("haraka trace")
    parser.add_argument("id")
    parser.add_argument("-c", "--configs", type=Path)
    parser.add_argument("--log", type=Path, nargs="+", action="extend", default=[])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    if given.configs is None and not given.log:
        raise UsageError("haraka trace needs -c DIR, or --log FILE, or both")
    installation = Options("trace", given.configs).installation if given.configs else None
    with _files(installation, given.log) as files:
        return _trace(given, installation, files)


def _trace(given: Namespace, installation: Path | None, files: list[Path]) -> int:
    entries = _queue(installation) if installation else []
    search = Search(lambda words: lines_with(files, words), (entry.todo.uuid for entry in entries))
    targets, records = search.run(given.id)
    waiting = [entry for entry in entries if any(within(entry.todo.uuid, target) for target in targets)]
    items = _explained(installation, waiting) if installation else []
    if not records and not items:
        raise CommandError(f"nothing is known about {given.id} in {_places(installation, files)}")
    _show(given.json, targets, records, items)
    return 0


def _show(as_json: bool, targets: list[str], records: list[Record], items: list[Item]) -> None:
    if as_json:
        events = [{"event": each.event, "id": each.id, **each.fields} for each in records]
        print(
            json.dumps(
                {"traced": targets, "events": events, "queue": [item.to_json() for item in items]}, indent=1
            )
        )
        return
    for line in story(targets, records, items):
        print(line)


def _places(installation: Path | None, files: Iterable[Path]) -> str:
    places = [*map(str, files), *(["the queue"] if installation else [])]
    return ", ".join(places)


# -- where to look


@contextmanager
def _files(installation: Path | None, logs: list[Path]) -> Iterator[list[Path]]:
    """The files to read: those that were named, else what log.ini says, with what became of it by rotation."""
    if not logs:
        yield _own_files(installation) if installation else []
        return
    with tempfile.NamedTemporaryFile() as copy:  # it is read more than once
        if STANDARD_INPUT in logs:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
        yield [Path(copy.name) if log == STANDARD_INPUT else log for log in logs]


def _own_files(installation: Path) -> list[Path]:
    config = open_config(installation)
    file = config.settings(LogSettings).events.file
    smtp = config.settings(SmtpSettings)
    if not file and smtp.daemonize:
        file = smtp.daemon_log_file
    if not file:
        print(
            "haraka: log.ini has no [events] file, and --log names none: this is what the queue says",
            file=sys.stderr,
        )
        return []
    return rotated(installation / file)


def _queue(installation: Path) -> list[QueuedEntry]:
    directory = queue_directory(installation)
    if not directory.is_dir():
        return []  # the server makes it at its first start
    try:
        return list(list_queue(directory, lambda line: print(f"haraka: {escape(line)}", file=sys.stderr)))
    except SpoolError as error:
        raise CommandError(str(error)) from None


def _explained(installation: Path, entries: list[QueuedEntry]) -> list[Item]:
    """The entries with what the server knows about them, if it runs."""
    if not entries:
        return []
    try:
        with ControlClient(state_directory(queue_directory(installation))) as client:
            return gather(entries, client, EVERYTHING)
    except (NotRunning, Refused):
        return gather(entries, None, EVERYTHING)
