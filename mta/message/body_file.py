"""The body of a large message, in a file while it is received and passed on."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITE_BUFFER = 64 * 1024
READ_CHUNK = 256 * 1024


class BodyFile:
    """The body of one message in a file that only this process reads, and that is removed when it is no longer needed."""

    __slots__ = ("_file", "_path")

    def __init__(self, path: str) -> None:
        """Create the file. Raises OSError, FileExistsError if the name is taken."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(descriptor, "wb", WRITE_BUFFER)
        self._path = path

    def write(self, chunk: bytes) -> None:
        """Append to the file. Raises OSError."""
        self._file.write(chunk)

    def chunks(self) -> Iterator[bytes]:
        """What was written so far. Raises OSError, and ValueError after remove()."""
        self._file.flush()
        # An own descriptor: remove() may come while this is read, and its number may be given to another file.
        descriptor = os.dup(self._file.fileno())
        try:
            offset = 0
            while chunk := os.pread(descriptor, READ_CHUNK, offset):
                yield chunk
                offset += len(chunk)
        finally:
            os.close(descriptor)

    def mapped(self) -> mmap.mmap:
        """What was written so far, as memory; it outlives remove(). Raises OSError, and ValueError for an empty file."""
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def remove(self) -> None:
        """Close the file and remove it; nothing happens the second time."""
        if self._file.closed:
            return
        try:
            self._file.close()
        except OSError:  # the disk is full, and the rest of a message that nobody wants could not be written
            pass
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
