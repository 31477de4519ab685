"""A queue directory with very many entries that are not due, written in seconds."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from types import TracebackType

from tests.support.entries import todo

LINKS = 60_000  # names of one file; ext4 allows 65 000
NAME_BYTES = 128  # that a name takes in the directory
DAY = 86_400_000  # milliseconds
MESSAGE = b"Subject: one of many\r\n\r\nhello\r\n"


class StuffedQueue:
    """Fills a directory that does not exist yet; as a context manager it removes it, which takes seconds as well.

    Most entries are names of the same file: a server reads none before it is due. Raises RuntimeError when there is no room.
    """

    def __init__(self, directory: Path, count: int) -> None:
        self.directory = directory
        directory.parent.mkdir(parents=True, exist_ok=True)
        check_room(directory.parent, count)
        directory.mkdir()
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._fill(folder, count)
        finally:
            os.close(folder)

    def _fill(self, folder: int, count: int) -> None:
        envelope = todo().encode()
        content = len(envelope).to_bytes(4, "big") + envelope + MESSAGE
        tomorrow = int(time.time() * 1000) + DAY
        template = ""
        for number in range(count):
            name = entry_name(tomorrow, number)
            if number % LINKS == 0:
                template = name
                fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
                os.write(fd, content)
                os.close(fd)
            else:
                os.link(template, name, src_dir_fd=folder, dst_dir_fd=folder)

    def __enter__(self) -> StuffedQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.directory)


def entry_name(due_ms: int, number: int) -> str:
    """Return the name of an entry that came two days before its next attempt; each has a time of its own, in no order."""
    due = due_ms + number * 7919 % DAY
    return f"{due_ms - 2 * DAY}_{due}_1_4711_aBcDeF_{number}_mail.example.com"


def check_room(directory: Path, count: int) -> None:
    """Raise RuntimeError when the disk has no room for so many entries."""
    disk = os.statvfs(directory)
    files, size = count // LINKS + 1, count * NAME_BYTES * 2
    if disk.f_files and disk.f_favail < files:
        raise RuntimeError(f"{files} free inodes are needed in {directory}")
    if disk.f_bavail * disk.f_frsize < size:
        raise RuntimeError(f"{size >> 20} MB are needed in {directory}")
