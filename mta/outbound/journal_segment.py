"""One segment of the journal while this process writes to it."""

from __future__ import annotations

import time
from typing import NamedTuple

from mta.outbound.journal_name import SegmentName
from mta.outbound.spool_disk import Disk


class Place(NamedTuple):
    """Where an entry stands: in the record of so many bytes that begins at `start`."""

    segment: Segment
    start: int
    length: int


class Segment:
    """A file that only grows. live: the entries in it that are not done with; born: by time.monotonic().

    Every method blocks and raises OSError.
    """

    __slots__ = ("_disk", "_durable", "_fd", "born", "live", "name", "size")

    def __init__(self, disk: Disk, name: SegmentName) -> None:
        self._disk = disk
        self._fd = disk.create(name.text)
        self._durable = False
        self.name = name
        self.size = 0
        self.born = time.monotonic()
        self.live: set[str] = set()

    def append(self, data: bytes) -> None:
        """Write at the end. After an error take_back, then begin another segment."""
        self._disk.write(self._fd, data)
        self.size += len(data)

    def sync(self) -> None:
        """Make what was appended durable, and the first time the name too. After an error as with append."""
        self._disk.sync(self._fd)
        if not self._durable:
            self._disk.sync_directory()
            self._durable = True

    def take_back(self, size: int) -> None:
        """Cut off what was written behind the first `size` bytes."""
        self._disk.truncate(self._fd, size)
        self.size = size

    def close(self) -> None:
        """Write no more. May be called again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)
