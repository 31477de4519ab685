"""The journal: small messages that will be delivered at once are kept in one file, with one sync for all who wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gevent import Greenlet, sleep, spawn

from mta.outbound.journal_job import End, Job, MoveOut, SetAside, Sync, Tidy
from mta.outbound.journal_writer import JournalWriter, read_mail
from mta.outbound.spool_batches import Batches, Step
from mta.outbound.spool_commit import Commit
from mta.outbound.spool_errors import CorruptEntry, SpoolError, describe
from mta.outbound.spool_thread import DiskThread

if TYPE_CHECKING:
    from mta.config.schema import SpoolSettings
    from mta.logger import Logger
    from mta.outbound.share import Share
    from mta.outbound.spool_disk import Disk

ORIGIN = "outbound"
LOOK = 10.0  # seconds between looks for entries that have been here for too long
MAX_ENTRIES = 1000  # of one message; reading one of them reads all, so more are better kept in files


class Journal:
    """The entries that this process keeps in journal segments, until they are done with or become queue files.

    thread: the one that does the spool's chores too, so that what is asked for first is done first. unwanted: called with
    each commit that was done after the greenlet that wanted it had been stopped.
    """

    __slots__ = ("_batches", "_disk", "_end", "_logger", "_settings", "_tidier", "_writer")

    def __init__(
        self,
        disk: Disk,
        thread: DiskThread,
        share: Share,
        settings: SpoolSettings,
        logger: Logger,
        unwanted: Callable[[Commit], None],
    ) -> None:
        self._disk = disk
        self._writer = JournalWriter(disk, share, settings.segment_bytes)
        self._batches: Batches[Job] = Batches(
            thread,
            self._writer.work,
            lambda job: unwanted(job) if isinstance(job, Commit) else None,
            self._prepare,
        )
        self._end: End | None = None  # the one that gathers
        self._settings = settings
        self._logger = logger
        self._tidier: Greenlet[[], None] | None = None

    # -- life

    def configure(self, settings: SpoolSettings) -> None:
        """Take over changed settings; what is in the journal stays there."""
        self._settings = settings
        self._writer.segment_bytes = settings.segment_bytes

    def close(self) -> None:
        """Make queue files of everything that is left, and remove the segments. What fails is logged, and replayed one day."""
        if self._tidier is not None:
            self._tidier.kill()
            self._tidier = None
            if self._writer.names:
                self._tidy(everything=True)

    def wrote(self, segment: str) -> bool:
        """True when a segment that is in the directory is one of this process."""
        return segment in self._writer.names

    # -- entries

    def takes(self, size: int, entries: int) -> bool:
        """True when a message of so many bytes, for so many entries, belongs here."""
        settings = self._settings
        return (
            settings.intake == "journal" and size <= settings.journal_max_message and entries <= MAX_ENTRIES
        )

    def commit(self, commit: Commit) -> None:
        """Keep a message durably, or set its error and leave nothing of it."""
        if self._tidier is None:
            self._tidier = spawn(self._look_after)
        self._batches.do(commit)

    def holds(self, name: str) -> bool:
        """True when the entry is here, and not in a file of its own."""
        return name in self._writer.index

    def forget(self, name: str) -> bool:
        """Be done with an entry; that is written soon, with whatever comes next. False when it is not here."""
        if name not in self._writer.index:
            return False
        # One job for all that gather: a job for each costs a relay of 1 KB 1 %.
        if self._end is not None:
            self._end.names.append(name)
        else:
            self._end = End(name)
            self._batches.leave(self._end)
        return True

    def _prepare(self, jobs: list[Job]) -> Step | None:
        """Called for all that has gathered, before anything is done about it."""
        self._end = None
        return self._writer.prepare(jobs)

    def read(self, name: str) -> tuple[bytes, bytes] | None:
        """The encoded todo and the message of an entry; None when it is not here. Blocks; raises CorruptEntry, OSError."""
        place = self._writer.index.get(name)
        if place is None:
            return None
        try:
            mail = read_mail(self._disk, place)
        except FileNotFoundError:
            return None  # moved out meanwhile
        return dict(mail.entries)[name], mail.message

    def move_out(self, name: str) -> None:
        """Make a queue file of an entry, if it is here. Raises SpoolError, CorruptEntry."""
        if name in self._writer.index:
            self._order("make a file of", name, MoveOut((name,)))

    def set_aside(self, name: str) -> None:
        """Put the bytes of a damaged entry into a file error.NAME. Raises SpoolError."""
        self._order("set aside", name, SetAside((name,)))

    def sync(self) -> None:
        """Make durable which entries are done with. Raises SpoolError."""
        if self._writer.names:
            job = Sync()
            self._batches.do(job)
            if job.error is not None:
                raise SpoolError(f"cannot sync the journal: {describe(job.error)}") from job.error

    def _order(self, what: str, name: str, job: MoveOut) -> None:
        self._batches.do(job)
        if isinstance(job.error, CorruptEntry):
            raise job.error
        if job.error is not None:
            raise SpoolError(f"cannot {what} {name}: {describe(job.error)}") from job.error

    # -- old entries

    def _look_after(self) -> None:
        while True:
            sleep(LOOK)
            if self._writer.names:
                self._tidy()

    def _tidy(self, *, everything: bool = False) -> None:
        """Move out what is due, some at a time, so that commits go on meanwhile."""
        moved = True
        while moved:
            job = Tidy(everything=everything)
            try:
                self._batches.do(job)
            except SpoolError as error:
                self._logger.error(f"cannot tidy the journal: {error}", origin=ORIGIN)
                return
            if job.error is not None:
                why = describe(job.error) if isinstance(job.error, OSError) else str(job.error)
                self._logger.error(f"cannot make queue files of journal entries: {why}", origin=ORIGIN)
                return
            moved = bool(job.names)
