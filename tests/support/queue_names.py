"""What lies in a queue directory."""

from __future__ import annotations

import os
from pathlib import Path

from mta.outbound.journal_replay import living, segments_in
from mta.outbound.spool_disk import Disk


def queue_names(directory: Path) -> list[str]:
    """The names in a queue directory, without dot files; entries that are in the journal stand for its segments."""
    found = {name for name in os.listdir(directory) if not name.startswith(".")}
    segments = segments_in(found)
    disk = Disk()
    disk.open_directory(directory)
    try:
        in_journal = {name for mail in living(disk, segments) for name, _ in mail.entries}
    finally:
        disk.close_directory()
    return sorted(found - {segment.text for segment in segments} | in_journal)
