"""The message of an entry, read from disk as it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mta.outbound.spool_entry import BLOCK, Entry


class EntryMessage:
    """A message in SMTP form. size: bytes that chunks() gives. read_block: reads a piece at a position.

    Stays good when the envelope is rewritten; load the entry again after a reschedule.
    """

    __slots__ = ("_entry", "_read_block", "size")

    def __init__(self, entry: Entry, read_block: Callable[[int], bytes]) -> None:
        self._entry = entry
        self._read_block = read_block
        self.size = entry.size + len(entry.tail)

    def chunks(self) -> Iterator[bytes]:
        """The message from its beginning, a small one as one chunk. Raises SpoolError, also in the middle."""
        entry = self._entry
        if entry.message is not None:
            yield entry.message + entry.tail
            return
        for position in range(0, entry.size, BLOCK):
            yield self._read_block(position)
        if entry.tail:
            yield entry.tail
