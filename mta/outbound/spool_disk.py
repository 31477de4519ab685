"""The system calls of the spool, all in one place, so that a test can make any of them fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from gevent.monkey import get_original

# The patched close puts off closing a directory, and with it the end of its lock, and costs a file two system calls.
_close: Callable[[int], None] = get_original("os", "close")


class Disk:
    """One directory, and what the spool does with the files in it. Everything blocks and raises OSError."""

    __slots__ = ("_directory", "_path")

    def __init__(self) -> None:
        self._directory = -1
        self._path = Path()

    # -- the directory

    def make_directory(self, path: Path) -> None:
        """Make a directory that is there after a power cut as well."""
        os.mkdir(path, 0o750)
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            _close(parent)

    def open_directory(self, path: Path) -> int:
        """Use this directory from now on; returns its file descriptor."""
        self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._path = path
        return self._directory

    def close_directory(self) -> None:
        """Let the directory go, and with it any lock on it. May be called again."""
        directory, self._directory = self._directory, -1
        if directory >= 0:
            _close(directory)

    def sync_directory(self) -> None:
        """Make durable which names exist."""
        os.fsync(self._directory)

    def names(self) -> Iterator[str]:
        """The names in the directory, read as they are asked for; of two walks each sees them all."""
        with os.scandir(self._path) as entries:
            for entry in entries:
                yield entry.name

    # -- names

    def rename(self, old: str, new: str) -> None:
        """Give a file another name in one step, in place of a file that has it."""
        os.rename(old, new, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def unlink(self, name: str) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=self._directory)

    def exists(self, name: str) -> bool:
        """True when there is a file of this name."""
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    # -- files

    def create(self, name: str) -> int:
        """Make a file that nobody else may read, for writing. FileExistsError when the name is taken."""
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._directory)

    def open(self, name: str) -> int:
        """Open a file for reading; never waits for the other end of a pipe, never follows a link."""
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._directory)

    def stat(self, fd: int) -> os.stat_result:
        """Size and kind of an open file."""
        return os.fstat(fd)

    def read(self, fd: int, size: int, position: int) -> bytes:
        """Up to so many bytes from a position."""
        return os.pread(fd, size, position)

    def write(self, fd: int, data: bytes) -> None:
        """Write all of it."""
        written = os.write(fd, data)
        while written < len(data):
            count = os.write(fd, memoryview(data)[written:])
            if count == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            written += count

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file that is being written off behind so many bytes, and go on there."""
        os.ftruncate(fd, size)
        self.seek(fd, size)

    def seek(self, fd: int, position: int) -> None:
        """Go on writing there. Neither blocks nor fails."""
        os.lseek(fd, position, os.SEEK_SET)

    def sync(self, fd: int) -> None:
        """Make what was written durable."""
        os.fdatasync(fd)

    def close(self, fd: int) -> None:
        """Close a file; some file systems tell only now that they could not write it."""
        _close(fd)
