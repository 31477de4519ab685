"""The queue directory: what is in it survives a crash. docs/queue.md lists the states of an entry and every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mta.config.schema import SpoolSettings
from mta.logger import Logger
from mta.outbound.journal import Journal
from mta.outbound.qfile import SET_ASIDE, QueueFileName, QueueNamer
from mta.outbound.share import EVERYTHING, Share
from mta.outbound.spool_batches import Batches
from mta.outbound.spool_chores import Chores
from mta.outbound.spool_commit import Commit, MessageSource, commit_batch, remove
from mta.outbound.spool_directory import open_directory, use_directory
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_entry import Entry, read_block, read_entry, rewrite_entry
from mta.outbound.spool_errors import CorruptEntry, EntryGone, SpoolError, describe
from mta.outbound.spool_message import EntryMessage
from mta.outbound.spool_thread import DiskThread
from mta.outbound.spool_threads import DiskThreads
from mta.outbound.spool_walk import Walk
from mta.outbound.todo import Todo

__all__ = ["CorruptEntry", "EntryGone", "EntryMessage", "MessageSource", "Spool", "SpoolError"]

ORIGIN = "outbound"
READERS = 4  # threads; what writes has one of its own, so that no number of slow reads delays a 250
FILES_ONLY = SpoolSettings(intake="files")

T = TypeVar("T")


class Spool:
    """The entries in one directory, or our share of them. Blocks the greenlet that asks, never the event loop.

    hostname: becomes a part of file names. disk: another one than the real one, for tests. share: the names of others are
    never touched. journal: what is kept there. Times are milliseconds since 1970. Every method
    raises SpoolError when the disk refuses.
    """

    __slots__ = (
        "_chores",
        "_commits",
        "_disk",
        "_journal",
        "_logger",
        "_namer",
        "_threads",
        "_walk",
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
        journal: SpoolSettings = FILES_ONLY,
    ) -> None:
        self.directory = directory
        self._logger = logger
        self._disk = disk or Disk()
        self._namer = QueueNamer(hostname, share)
        self._writer = DiskThread()
        self._threads = DiskThreads(READERS)
        self._commits = Batches(self._writer, partial(commit_batch, self._disk), self._take_back)
        # The same thread as the commits: one more that wants the interpreter costs a relay of 1 KB 12 %.
        self._chores = Chores(self._writer)
        self._journal = Journal(self._disk, self._writer, share, journal, logger, self._take_back)
        self._walk = Walk(self._disk, self._threads, self._chores, self._journal, share, logger)

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

    def configure(self, settings: SpoolSettings) -> None:
        """Take over other settings of the journal."""
        self._journal.configure(settings)

    def close(self) -> None:
        """Wait for what is under way, make queue files of what the journal has, and let the directory go.

        May be called again.
        """
        self._journal.close()
        self._writer.close()
        self._threads.close()
        self._disk.close_directory()

    # -- mail comes

    def commit(
        self,
        todos: Sequence[Todo],
        message: MessageSource,
        now_ms: int,
        next_attempt_ms: int | None = None,
        *,
        passing: bool = False,
    ) -> list[QueueFileName]:
        """Keep a message: one entry for each todo, all or none, durable on return.

        passing: it is about to be delivered, so the journal may have it. message.chunks() is called at most once for
        each todo, in another thread; `message.whole`, if it has that, here. If the calling greenlet is stopped meanwhile, nothing is kept.
        """
        due_ms = now_ms if next_attempt_ms is None else next_attempt_ms
        names: list[QueueFileName] = []
        entries: list[tuple[str, bytes]] = []
        for todo in todos:
            name = self._namer.new(now_ms, due_ms)
            names.append(name)
            entries.append((name.text, todo.encode()))
        commit = Commit(entries, message)
        if self._walk.is_to_come:
            self._walk.pass_over(name for name, _ in entries)
        if passing and self._journal.takes(message.size, len(todos)):
            self._journal.commit(commit)
        else:
            self._commits.do(commit)
        if commit.error is not None:
            self._tell_left_behind(commit)
            if isinstance(commit.error, OSError):
                raise SpoolError(f"cannot write to the queue: {describe(commit.error)}") from commit.error
            raise commit.error
        return names

    def _take_back(self, commit: Commit) -> None:
        """Nobody will acknowledge this message, so its sender repeats it."""
        names = [name for name, _ in commit.entries]
        if commit.error is None and self._journal.holds(names[0]):
            for name in names:
                self._journal.forget(name)
        elif commit.error is None:
            commit.left_behind = self._threads.call(remove, self._disk, names)
        self._tell_left_behind(commit)

    def _tell_left_behind(self, commit: Commit) -> None:
        for name in commit.left_behind:
            self._logger.crit(f"cannot remove {name} of a message that was not accepted", origin=ORIGIN)

    # -- start-up

    def walk(self) -> Iterator[QueueFileName]:
        """Our entries that were there before open(), in no order, while mail may come in already. Once after open(), or
        again when it raised before it gave a name; see spool_walk.
        """
        return self._walk.entries()

    # -- mail goes

    def load(self, name: QueueFileName) -> tuple[Todo, EntryMessage]:
        """Read an entry; a small message is in memory then. Raises CorruptEntry, EntryGone."""
        entry = self._call(f"read {name}", self._read_entry, name.text)
        read = partial(self._call, f"read {name}", read_block, self._disk, name.text, entry.size)
        return entry.todo, EntryMessage(entry, read)

    def _read_entry(self, name: str) -> Entry:
        found = self._journal.read(name)
        if found is None:
            return read_entry(self._disk, name)
        todo, message = found
        return Entry(Todo.decode(todo), len(message), message, b"")

    def reschedule(self, name: QueueFileName, attempts: int, next_attempt_ms: int) -> QueueFileName:
        """Give an entry its next attempt; returns its new name. Raises EntryGone."""
        self._journal.move_out(name.text)
        new = self._namer.next(name, attempts, next_attempt_ms)
        self._walk.pass_over((new.text,))
        self._chores.do("move", self._disk.rename, name.text, new.text)
        return new

    def rewrite(self, name: QueueFileName, todo: Todo) -> None:
        """Replace the envelope of an entry, durably and in one step; its message stays. Raises CorruptEntry, EntryGone."""
        self._journal.move_out(name.text)
        self._walk.pass_over((name.text,))
        self._call(f"rewrite {name}", rewrite_entry, self._disk, name.text, todo.encode())

    def forget(self, name: QueueFileName) -> None:
        """Remove an entry that is done with; it is no error if it has gone."""
        if self._journal.forget(name.text):
            return
        try:
            self._chores.do("remove", self._disk.unlink, name.text)
        except EntryGone:
            return

    def sync(self) -> None:
        """Make durable which entries were moved or removed so far: retries do without, as repeating them does no harm."""
        self._chores.do("sync", self._sync_names, "the queue directory")
        self._journal.sync()

    def _sync_names(self, _: str) -> None:
        self._disk.sync_directory()

    def quarantine(self, name: QueueFileName) -> None:
        """Set a corrupt entry aside as error.NAME, where no delivery finds it. Raises EntryGone."""
        if self._journal.holds(name.text):
            self._journal.set_aside(name.text)
            return
        self._walk.pass_over((name.text,))
        self._chores.do("set aside", self._disk.rename, name.text, SET_ASIDE + name.text)

    def _call(self, what: str, function: Callable[..., T], *args: Any) -> T:
        try:
            return self._threads.call(function, *args)
        except OSError as error:
            raise SpoolError(f"cannot {what}: {describe(error)}") from error
