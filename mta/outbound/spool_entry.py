"""Reading queue files back, and replacing the envelope in one."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator

from mta.outbound.qfile import TEMPORARY
from mta.outbound.spool_commit import HEAD_LENGTH, remove, write_file
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_errors import CorruptEntry, EntryGone
from mta.outbound.todo import Todo
from mta.record import record

FIRST_READ = 64 * 1024  # a file up to this size is read at once and its message kept in memory
BLOCK = 256 * 1024
MAX_TODO = 64 * 1024 * 1024  # some hundred thousand recipients; more is a torn length field


@record
class Entry:
    """What a queue file holds. size: bytes of the message; message: all of it if the file is small, else None.

    tail: the line end that the message lacks before a final dot can follow it.
    """

    todo: Todo
    size: int
    message: bytes | None
    tail: bytes


def read_entry(disk: Disk, name: str) -> Entry:
    """Read the envelope of an entry, and the message if the file is small. Raises CorruptEntry, EntryGone, OSError."""
    fd = _open(disk, name)
    try:
        file_size = _size(disk, fd)
        first = disk.read(fd, FIRST_READ, 0)
        start = _message_start(first, file_size)
        head = first if start <= len(first) else _read_exactly(disk, fd, start, 0)
        todo = Todo.decode(head[HEAD_LENGTH:start])
        whole = len(first) == file_size
        end = first[start:][-2:] if whole else disk.read(fd, min(2, file_size - start), file_size - 2)
        return Entry(todo, file_size - start, first[start:] if whole else None, _tail(end))
    finally:
        disk.close(fd)


def read_block(disk: Disk, name: str, message_size: int, position: int) -> bytes:
    """A piece of a message from a position in it. Raises CorruptEntry when the file has changed its size.

    The file is opened each time: a rewrite may have put another in its place, and nothing stays open when the
    reader loses interest.
    """
    fd = _open(disk, name)
    try:
        file_size = _size(disk, fd)
        start = _message_start(disk.read(fd, HEAD_LENGTH, 0), file_size)
        if file_size - start != message_size:
            raise CorruptEntry("the message has changed its size")
        return _read_exactly(disk, fd, min(BLOCK, message_size - position), start + position)
    finally:
        disk.close(fd)


def rewrite_entry(disk: Disk, name: str, todo: bytes) -> None:
    """Put another envelope before the message of an entry, in one step. Raises CorruptEntry, EntryGone, OSError."""
    temporary = TEMPORARY + name
    fd = _open(disk, name)
    try:
        file_size = _size(disk, fd)
        start = _message_start(disk.read(fd, HEAD_LENGTH, 0), file_size)
        try:
            write_file(disk, temporary, todo, _blocks(disk, fd, start, file_size))
        except FileExistsError:  # left over from a crash in a rewrite: the start has not come to sweep it yet
            disk.unlink(temporary)
            write_file(disk, temporary, todo, _blocks(disk, fd, start, file_size))
        disk.rename(temporary, name)
    except BaseException:
        remove(disk, [temporary])
        raise
    finally:
        disk.close(fd)
    disk.sync_directory()


def _blocks(disk: Disk, fd: int, start: int, end: int) -> Iterator[bytes]:
    for position in range(start, end, BLOCK):
        yield _read_exactly(disk, fd, min(BLOCK, end - position), position)


def _open(disk: Disk, name: str) -> int:
    try:
        return disk.open(name)
    except FileNotFoundError:
        raise EntryGone(f"queue file {name} does not exist") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
            raise CorruptEntry("not a regular file") from error
        raise


def _size(disk: Disk, fd: int) -> int:
    status = disk.stat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise CorruptEntry("not a regular file")
    if status.st_size == 0:
        raise CorruptEntry("zero bytes")
    return status.st_size


def _message_start(first: bytes, file_size: int) -> int:
    """Where the message begins, from the first bytes of a file."""
    if len(first) < HEAD_LENGTH:
        raise CorruptEntry(f"only {file_size} bytes")
    length = int.from_bytes(first[:HEAD_LENGTH], "big")
    if HEAD_LENGTH + length > file_size:
        raise CorruptEntry(f"the todo should have {length} bytes, the file has only {file_size}")
    if length > MAX_TODO:
        raise CorruptEntry(f"the todo should have {length} bytes, which cannot be right")
    return HEAD_LENGTH + length


def _read_exactly(disk: Disk, fd: int, size: int, position: int) -> bytes:
    data = disk.read(fd, size, position)
    while len(data) < size:
        more = disk.read(fd, size - len(data), position + len(data))
        if not more:
            raise CorruptEntry("the file has become shorter")
        data += more
    return data


def _tail(end: bytes) -> bytes:
    """What a message that ends so needs, that the next line stands alone."""
    if not end or end == b"\r\n":
        return b""
    if end[-1:] == b"\n":  # mail that a Haraka plugin injected may have bare line feeds
        return b"\r\n"
    raise CorruptEntry("the message is cut off: its last line has no end")
