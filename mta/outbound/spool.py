"""The queue directory: what is in it survives a crash. docs/queue.md lists the states of an entry and every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from mta.logger import Logger
from mta.outbound.qfile import SET_ASIDE, TEMPORARY, QueueFileName, QueueNamer
from mta.outbound.share import EVERYTHING, Share
from mta.outbound.spool_chores import Chores
from mta.outbound.spool_commit import Commit, MessageSource, commit_batch, remove
from mta.outbound.spool_directory import open_directory, use_directory
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_entry import read_block, read_entry, rewrite_entry
from mta.outbound.spool_errors import CorruptEntry, EntryGone, SpoolError, describe
from mta.outbound.spool_message import EntryMessage
from mta.outbound.spool_threads import Batches, DiskThreads
from mta.outbound.todo import Todo

__all__ = ["CorruptEntry", "EntryGone", "EntryMessage", "MessageSource", "Spool", "SpoolError"]

ORIGIN = "outbound"
READERS = 4  # threads; what writes has one of its own, so that no number of slow reads delays a 250
NAMES_AT_ONCE = 2048

T = TypeVar("T")


class Spool:
    """The entries in one directory, or our share of them. Blocks the greenlet that asks, never the event loop.

    hostname: becomes a part of file names. disk: another one than the real one, for tests. share: the names of others are
    never touched. Times are milliseconds since 1970. Every method raises SpoolError when the disk refuses.
    """

    __slots__ = (
        "_chores",
        "_commits",
        "_disk",
        "_fresh",
        "_logger",
        "_namer",
        "_share",
        "_threads",
        "_writer",
        "directory",
    )

    def __init__(
        self,
        directory: Path,
        logger: Logger,
        *,
        hostname: str,
        disk: Disk | None = None,
        share: Share = EVERYTHING,
    ) -> None:
        self.directory = directory
        self._logger = logger
        self._disk = disk or Disk()
        self._share = share
        self._namer = QueueNamer(hostname, share)
        self._writer = DiskThreads(1)
        self._threads = DiskThreads(READERS)
        self._commits = Batches(self._writer, partial(commit_batch, self._disk), self._take_back)
        # The same thread as the commits: one more that wants the interpreter costs a relay of 1 KB 12 %.
        self._chores = Chores(self._writer)
        # What was made or moved since open(), until the walk is over: the walk must not meddle with it.
        self._fresh: set[str] | None = set()

    # -- life

    def open(self, *, locked: bool = False) -> None:
        """Make the directory if need be, lock it, and see that it can be written.

        locked: the process that we are a worker of has done so. Raises SpoolError with one line: not a directory, not
        writable, in use by process N.
        """
        try:
            (use_directory if locked else open_directory)(self._disk, self.directory)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Wait for what is under way and let the directory go. May be called again."""
        self._writer.close()
        self._threads.close()
        self._disk.close_directory()

    # -- mail comes

    def commit(
        self, todos: Sequence[Todo], message: MessageSource, now_ms: int, next_attempt_ms: int | None = None
    ) -> list[QueueFileName]:
        """Keep a message: one entry for each todo, all or none, durable on return.

        message.chunks() is called once for each todo, in another thread. If the calling greenlet is stopped
        meanwhile, nothing is kept.
        """
        due_ms = now_ms if next_attempt_ms is None else next_attempt_ms
        names = [self._namer.new(now_ms, due_ms) for _ in todos]
        commit = Commit(
            [(name.text, todo.encode()) for name, todo in zip(names, todos, strict=True)], message
        )
        self._hide_from_walk(name.text for name in names)
        self._commits.do(commit)
        if commit.error is not None:
            self._tell_left_behind(commit)
            if isinstance(commit.error, OSError):
                raise SpoolError(f"cannot write to the queue: {describe(commit.error)}") from commit.error
            raise commit.error
        return names

    def _take_back(self, commit: Commit) -> None:
        """Nobody will acknowledge this message, so its sender repeats it."""
        if commit.error is None:
            commit.left_behind = self._threads.call(remove, self._disk, [name for name, _ in commit.entries])
        self._tell_left_behind(commit)

    def _tell_left_behind(self, commit: Commit) -> None:
        for name in commit.left_behind:
            self._logger.crit(f"cannot remove {name} of a message that was not accepted", origin=ORIGIN)

    # -- start-up

    def walk(self) -> Iterator[QueueFileName]:
        """Our entries that were there before open(), in no order, while mail may come in already. Once after open(), or
        again when it raised before it gave a name.

        Removes left over temporary files, tells about files set aside and strange ones, as far as they are ours.
        """
        names = self._disk.names()
        block = self._call("read the queue", _take, names)
        try:
            while block:
                for name in block:
                    entry = self._recognise(name)
                    if entry is not None:
                        yield entry
                block = self._call("read the queue", _take, names)
        finally:
            self._fresh = None

    def _recognise(self, name: str) -> QueueFileName | None:
        bare = name.removeprefix(TEMPORARY).removeprefix(SET_ASIDE)
        entry = _parsed(bare)
        if bare in (self._fresh or ()) or not self._is_ours(entry):
            return None
        if name.startswith(TEMPORARY):
            self._sweep(name)
        elif name.startswith(SET_ASIDE):
            self._logger.warn(f"'Skipping' error file in queue folder: {_readable(name)}", origin=ORIGIN)
        elif entry is None:
            self._logger.error(f"Unrecognized file in queue folder: {_readable(name)}", origin=ORIGIN)
        else:
            return entry
        return None

    def _is_ours(self, entry: QueueFileName | None) -> bool:
        """What is no name of an entry is nobody's: the first worker looks after it."""
        return self._share.slot == 0 if entry is None else self._share.owns(entry.uniq)

    def _sweep(self, name: str) -> None:
        self._logger.warn(f"Removing left over dot-file: {_readable(name)}", origin=ORIGIN)
        try:
            self._chores.do("remove", self._disk.unlink, name)
        except SpoolError as error:
            self._logger.error(_readable(str(error)), origin=ORIGIN)

    def _hide_from_walk(self, names: Iterable[str]) -> None:
        if self._fresh is not None:
            self._fresh.update(names)

    # -- mail goes

    def load(self, name: QueueFileName) -> tuple[Todo, EntryMessage]:
        """Read an entry; a small message is in memory then. Raises CorruptEntry, EntryGone."""
        entry = self._call(f"read {name}", read_entry, self._disk, name.text)
        read = partial(self._call, f"read {name}", read_block, self._disk, name.text, entry.size)
        return entry.todo, EntryMessage(entry, read)

    def reschedule(self, name: QueueFileName, attempts: int, next_attempt_ms: int) -> QueueFileName:
        """Give an entry its next attempt; returns its new name. Raises EntryGone."""
        new = self._namer.next(name, attempts, next_attempt_ms)
        self._hide_from_walk((new.text,))
        self._chores.do("move", self._disk.rename, name.text, new.text)
        return new

    def rewrite(self, name: QueueFileName, todo: Todo) -> None:
        """Replace the envelope of an entry, durably and in one step; its message stays. Raises CorruptEntry, EntryGone."""
        self._hide_from_walk((name.text,))
        self._call(f"rewrite {name}", rewrite_entry, self._disk, name.text, todo.encode())

    def forget(self, name: QueueFileName) -> None:
        """Remove an entry that is done with; it is no error if it has gone."""
        try:
            self._chores.do("remove", self._disk.unlink, name.text)
        except EntryGone:
            return

    def sync(self) -> None:
        """Make durable which entries were moved or removed so far: retries do without, as repeating them does no harm."""
        self._chores.do("sync", self._sync_names, "the queue directory")

    def _sync_names(self, _: str) -> None:
        self._disk.sync_directory()

    def quarantine(self, name: QueueFileName) -> None:
        """Set a corrupt entry aside as error.NAME, where no delivery finds it. Raises EntryGone."""
        self._hide_from_walk((name.text,))
        self._chores.do("set aside", self._disk.rename, name.text, SET_ASIDE + name.text)

    def _call(self, what: str, function: Callable[..., T], *args: Any) -> T:
        try:
            return self._threads.call(function, *args)
        except OSError as error:
            raise SpoolError(f"cannot {what}: {describe(error)}") from error


def _take(names: Iterator[str]) -> list[str]:
    return list(islice(names, NAMES_AT_ONCE))


def _parsed(name: str) -> QueueFileName | None:
    try:
        return QueueFileName.parse(name)
    except ValueError:
        return None


def _readable(name: str) -> str:
    """A file name that may not be UTF-8, for the log."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
