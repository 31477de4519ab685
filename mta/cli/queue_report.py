"""`haraka --qlist` and `--qstat`: the mail that waits, whether the server runs or not."""

from __future__ import annotations

import sys
from pathlib import Path

from mta.cli.errors import CommandError
from mta.cli.installation import queue_directory
from mta.log_format import escape
from mta.outbound.spool_errors import SpoolError
from mta.outbound.status import list_queue, stat_queue


def show_queue(directory: Path) -> int:
    """Print one line for each entry, the oldest first; what cannot be read is told on standard error, and makes it 1."""
    unreadable: list[str] = []
    try:
        entries = list(list_queue(queue_directory(directory), unreadable.append))
    except SpoolError as error:
        raise CommandError(str(error)) from None
    for entry in sorted(entries, key=lambda entry: (entry.name.arrival, entry.name.text)):
        print(escape(str(entry)))
    for line in unreadable:
        print(f"haraka: {escape(line)}", file=sys.stderr)
    return 1 if unreadable else 0


def show_counts(directory: Path) -> int:
    """Print where the queue is and how many entries it has."""
    try:
        print(stat_queue(queue_directory(directory)))
    except SpoolError as error:
        raise CommandError(str(error)) from None
    return 0
