"""Start-up: what lies in the queue directory is taken over, while mail comes in already (docs/queue.md)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from gevent import sleep

from mta.outbound.journal_name import SegmentName
from mta.outbound.journal_replay import replay, segments_in
from mta.outbound.qfile import SET_ASIDE, TEMPORARY, QueueFileName
from mta.outbound.spool_errors import SpoolError, describe

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.outbound.journal import Journal
    from mta.outbound.share import Share
    from mta.outbound.spool_chores import Chores
    from mta.outbound.spool_disk import Disk
    from mta.outbound.spool_threads import DiskThreads

ORIGIN = "outbound"
NAMES_AT_ONCE = 512  # so many are parsed and pushed in one turn of the event loop, which takes 2 ms
REPLAY_AGAIN = 30.0  # seconds until another try when the disk did not let the journal be replayed

T = TypeVar("T")


class Walk:
    """One walk through a queue directory. share: the names of others are never touched, nor told about."""

    __slots__ = ("_chores", "_disk", "_fresh", "_journal", "_logger", "_share", "_threads")

    def __init__(
        self,
        disk: Disk,
        threads: DiskThreads,
        chores: Chores,
        journal: Journal,
        share: Share,
        logger: Logger,
    ) -> None:
        self._disk = disk
        self._threads = threads
        self._chores = chores
        self._journal = journal
        self._share = share
        self._logger = logger
        self._fresh: set[str] | None = set()

    @property
    def is_to_come(self) -> bool:
        """True until the walk has ended: what this process makes is to be passed over."""
        return self._fresh is not None

    def pass_over(self, names: Iterable[str]) -> None:
        """These names this process has made or moved since the directory was opened: not for the walk to meddle with."""
        if self._fresh is not None:
            self._fresh.update(names)

    def entries(self) -> Iterator[QueueFileName]:
        """Our entries that were there before, in no order.

        Removes left over temporary files, tells about files set aside and strange ones. What a predecessor left in its
        journal becomes queue files first; when the disk does not allow that, it is tried again. Raises SpoolError.
        """
        leftovers = self._leftover_segments()
        made: list[str] = []
        failed = yield from self._replay(leftovers, made)
        self.pass_over(made)
        yield from self._files()
        while failed:
            sleep(REPLAY_AGAIN)
            failed = yield from self._replay(leftovers, made)

    # -- the journal

    def _leftover_segments(self) -> list[SegmentName]:
        found = self._read(lambda: segments_in(self._disk.names()))
        return [
            segment
            for segment in found
            if segment.belongs_to(self._share) and not self._journal.wrote(segment.text)
        ]

    def _replay(
        self, segments: Sequence[SegmentName], made: list[str]
    ) -> Generator[QueueFileName, None, bool]:
        """Yields entries that are files now; returns True when the disk did not let it come to an end."""
        steps = replay(self._disk, segments, made)
        try:
            while (step := self._threads.call(next, steps, None)) is not None:
                for problem in step.problems:
                    self._logger.error(_readable(problem), origin=ORIGIN)
                self.pass_over(step.names)
                yield from filter(None, map(_parsed, step.names))
        except SpoolError as error:
            self._logger.crit(f"{error}; trying again in {REPLAY_AGAIN:.0f} seconds", origin=ORIGIN)
            return True
        return False

    # -- the files

    def _files(self) -> Iterator[QueueFileName]:
        names = self._disk.names()
        try:
            while block := self._read(lambda: list(islice(names, NAMES_AT_ONCE))):
                yield from filter(None, map(self._recognise, block))
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
        elif entry is None and SegmentName.parse(name) is None:
            self._logger.error(f"Unrecognized file in queue folder: {_readable(name)}", origin=ORIGIN)
        else:
            return entry  # None for a segment of the journal
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

    def _read(self, function: Callable[[], T]) -> T:
        try:
            return self._threads.call(function)
        except OSError as error:
            raise SpoolError(f"cannot read the queue: {describe(error)}") from error


def _parsed(name: str) -> QueueFileName | None:
    try:
        return QueueFileName.parse(name)
    except ValueError:
        return None


def _readable(name: str) -> str:
    """A file name that may not be UTF-8, for the log."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
