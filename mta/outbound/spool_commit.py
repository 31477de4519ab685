"""Making messages durable: all entries of a message or none, many messages with shared syncs (docs/queue.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from mta.outbound.qfile import TEMPORARY
from mta.outbound.spool_disk import Disk

HEAD_LENGTH = 4


class MessageSource(Protocol):
    """A whole message in SMTP form: CRLF, dots stuffed, no final dot. size: bytes that chunks() gives."""

    @property
    def size(self) -> int: ...

    def chunks(self) -> Iterator[bytes]: ...


class Commit:
    """One message on its way to the disk. entries: name and encoded todo of each.

    error: why it was not kept, None if it was. left_behind: names that could not be removed after an error.
    """

    __slots__ = ("entries", "error", "left_behind", "message")

    def __init__(self, entries: Sequence[tuple[str, bytes]], message: MessageSource) -> None:
        self.entries = entries
        self.message = message
        self.error: Exception | None = None
        self.left_behind: list[str] = []


def commit_batch(disk: Disk, batch: Sequence[Commit]) -> None:
    """Make every message of the batch durable, or set its error and leave nothing of it. Blocks."""
    written = [commit for commit in batch if _succeeds(_write, disk, commit)]
    named = [commit for commit in written if _succeeds(_name, disk, commit)]
    if not named:
        return
    try:
        disk.sync_directory()
    except OSError as error:
        for commit in named:
            _fail(disk, commit, error)


def _succeeds(step: Callable[[Disk, Commit], None], disk: Disk, commit: Commit) -> bool:
    try:
        step(disk, commit)
    except Exception as error:
        # Whatever it is, it concerns this message and not its neighbours; who waits for it gets it raised.
        _fail(disk, commit, error)
        return False
    return True


def _write(disk: Disk, commit: Commit) -> None:
    # One sync a file, one after the other: threads side by side cost more CPU than they save time, and syncfs, which
    # gains a fifth at a hundred files, waits for whatever else is being written to the file system.
    for name, todo in commit.entries:
        write_file(disk, TEMPORARY + name, todo, commit.message.chunks())


def _name(disk: Disk, commit: Commit) -> None:
    for name, _ in commit.entries:
        disk.rename(TEMPORARY + name, name)


def _fail(disk: Disk, commit: Commit, error: Exception) -> None:
    commit.error = error
    commit.left_behind = remove(disk, [kind + name for name, _ in commit.entries for kind in (TEMPORARY, "")])


def remove(disk: Disk, names: Sequence[str]) -> list[str]:
    """Remove the files that exist among these; returns those that could not be removed."""
    return [name for name in names if not _removed(disk, name)]


def _removed(disk: Disk, name: str) -> bool:
    try:
        disk.unlink(name)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def write_file(disk: Disk, name: str, todo: bytes, message: Iterator[bytes]) -> None:
    """Write one queue file and sync its data. Raises OSError; then remove the file."""
    _write_synced(disk, name, lambda fd: _write_content(disk, fd, todo, message))


def write_bytes(disk: Disk, name: str, data: bytes) -> None:
    """Write any file and sync its data. Raises OSError; then remove the file."""
    _write_synced(disk, name, lambda fd: disk.write(fd, data))


def _write_synced(disk: Disk, name: str, write: Callable[[int], None]) -> None:
    fd = disk.create(name)
    try:
        write(fd)
        disk.sync(fd)
    except BaseException:
        _close_quietly(disk, fd)
        raise
    disk.close(fd)


def _write_content(disk: Disk, fd: int, todo: bytes, message: Iterator[bytes]) -> None:
    head = len(todo).to_bytes(HEAD_LENGTH, "big") + todo
    last = next(message, b"")
    disk.write(fd, head + last)  # a small message is one write
    for chunk in message:
        disk.write(fd, chunk)
        last = last[-1:] + chunk
    # The file has no other mark of its end, and load takes a message that stops in mid-line for a torn one.
    if last and not last.endswith(b"\r\n"):
        disk.write(fd, b"\r\n")


def _close_quietly(disk: Disk, fd: int) -> None:
    """Close after another failure, which is the one to tell."""
    try:
        disk.close(fd)
    except OSError:
        pass
