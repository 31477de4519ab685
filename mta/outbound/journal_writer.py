"""What is done to the journal: many jobs with one write and one sync, in the thread that writes (docs/queue.md)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from mta.outbound.journal_batch import JournalBatch
from mta.outbound.journal_job import End, Job, MoveOut, SetAside, Sync, Tidy
from mta.outbound.journal_name import SegmentName
from mta.outbound.journal_record import JournalMail, record_at
from mta.outbound.journal_segment import Place, Segment
from mta.outbound.qfile import SET_ASIDE, TEMPORARY
from mta.outbound.share import Share
from mta.outbound.spool_batches import Step
from mta.outbound.spool_commit import Commit, MessageSource, remove, write_bytes, write_file
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_errors import CorruptEntry

MAX_AGE = 60.0  # seconds until what is still there becomes a queue file, where everybody looks for it
MAX_SEGMENTS = 8
SLICE = 32  # entries that are moved out at a time, so that commits need not wait for long


class JournalWriter:
    """The segments of one process. One thing happens at a time; only `index` and `names` are looked at from outside."""

    __slots__ = ("_current", "_disk", "_segments", "_share", "_untold", "index", "names", "segment_bytes")

    def __init__(self, disk: Disk, share: Share, segment_bytes: int) -> None:
        self.segment_bytes = segment_bytes
        self.index: dict[str, Place] = {}
        self.names: set[str] = set()  # of all our segments that are, or are about to be, in the directory
        self._disk = disk
        self._share = share
        self._segments: deque[Segment] = deque()  # the oldest first
        self._current: Segment | None = None
        self._untold: list[str] = []  # entries whose end could not be written yet

    def prepare(self, jobs: Sequence[Job]) -> Step | None:
        """The usual work: messages in memory, and ends, for a segment with room. None when something else is to be done.

        In the event loop, where all they consist of has just been touched: a thread on another processor takes three times
        as long for it, and holds up everybody meanwhile.
        """
        segment = self._current
        if segment is None or segment.size >= self.segment_bytes:
            return None
        if not self._segments[0].live and self._segments[0] is not segment:
            return None  # it is to be removed
        commits: list[Commit] = []
        ends: list[str] = []
        mails: list[JournalMail] = []
        for job in jobs:
            if isinstance(job, Commit) and (whole := getattr(job.message, "whole", None)) is not None:
                commits.append(job)
                mails.append(JournalMail(job.entries, _ending_a_line(whole)))
            elif isinstance(job, End):
                ends += job.names
            else:
                return None
        if not all(map(self.index.__contains__, ends)):
            return None
        self._strike(ends)
        batch = JournalBatch(segment, mails, self._untold)
        return Step(partial(self._put_or_tell, batch, commits), partial(self._enter, batch))

    def work(self, jobs: Sequence[Job]) -> None:
        """Do all of it, or leave in each job why it was not done."""
        ends = [name for job in jobs if isinstance(job, End) for name in job.names]
        self._write([job for job in jobs if isinstance(job, Commit)], ends)
        for job in jobs:
            if isinstance(job, Tidy):
                job.names = self._overdue(job.everything)
            if isinstance(job, MoveOut):
                self._move(job)
            elif isinstance(job, Sync):
                self._sync(job)
        self._retire()

    # -- writing

    def _write(self, commits: Sequence[Commit], ends: Sequence[str]) -> None:
        """All messages and ends with one write; the messages durably."""
        mails = [(commit, mail) for commit in commits if (mail := _mail(commit)) is not None]
        self._strike(ends)
        if not mails and self._nobody_to_tell():
            return
        try:
            batch = JournalBatch(self._open_segment(), [mail for _, mail in mails], self._untold)
        except OSError as error:
            self._failed([commit for commit, _ in mails], error)
            return
        self._put_or_tell(batch, [commit for commit, _ in mails])
        self._enter(batch)

    def _put_or_tell(self, batch: JournalBatch, commits: Sequence[Commit]) -> None:
        try:
            self._put(batch)
        except OSError as error:
            self._failed(commits, error)

    def _failed(self, commits: Sequence[Commit], error: OSError) -> None:
        for commit in commits:
            commit.error = error
        self._give_up_segment(commits)

    def _put(self, batch: JournalBatch, *, durably: bool = False) -> None:
        segment = batch.segment
        before = segment.size
        try:
            segment.append(batch.data)
            if batch.places or durably:
                segment.sync()
        except OSError:
            segment.size = before
            raise
        batch.written = True

    def _enter(self, batch: JournalBatch) -> None:
        """Take notice of what has been written, if it has."""
        if not batch.written:
            return
        self._untold.clear()
        index, live = self.index, batch.segment.live
        for entries, place in batch.places:
            for name, _ in entries:
                index[name] = place
                live.add(name)

    def _open_segment(self) -> Segment:
        if self._current is None or self._current.size >= self.segment_bytes:
            segment = self._new_segment()
            self._close_current()
            self._segments.append(segment)
            self._current = segment
        return self._current

    def _new_segment(self) -> Segment:
        name = SegmentName.new(self._share)
        self.names.add(name.text)  # before it is there, so that nobody takes it for a leftover
        try:
            return Segment(self._disk, name)
        except OSError:
            self.names.discard(name.text)
            raise

    def _give_up_segment(self, commits: Iterable[Commit]) -> None:
        """Nothing is written again to a file that failed: the kernel may have dropped pages and forgotten about it."""
        segment = self._current
        if segment is None:
            return
        try:
            segment.take_back(segment.size)
        except OSError:
            for commit in commits:
                commit.left_behind = [name for name, _ in commit.entries]
        self._close_current()

    def _close_current(self) -> None:
        segment, self._current = self._current, None
        try:
            if segment is not None:
                segment.close()
        except OSError:
            pass  # whatever mattered had been synced

    def _sync(self, job: Sync) -> None:
        if self._nobody_to_tell() and self._current is None:
            return
        try:
            batch = JournalBatch(self._open_segment(), (), self._untold)
            self._put(batch, durably=True)
            self._enter(batch)
        except OSError as error:
            job.error = error
            self._give_up_segment(())

    # -- ends

    def _strike(self, names: Iterable[str]) -> None:
        """Forget entries; their end is told to the next segment that takes it."""
        for name in names:
            place = self.index.pop(name, None)
            if place is None:  # it was moved out meanwhile
                remove(self._disk, [name])
                continue
            place.segment.live.discard(name)
            self._untold.append(name)

    def _nobody_to_tell(self) -> bool:
        """True when no end has to be written, which is so too when no segment is left that it would matter to."""
        if self._untold and self._current is None:
            self._retire()
        return not self._untold

    def _retire(self) -> None:
        """Remove segments that nobody needs, the oldest first: a later one may hold the ends of its entries."""
        while self._segments and not self._segments[0].live and self._segments[0] is not self._current:
            name = self._segments[0].name.text
            if remove(self._disk, [name]):
                return  # tried again with the next batch
            self._segments.popleft()
            self.names.discard(name)
        if not self._segments:
            self._untold.clear()  # there is nobody left to tell

    # -- moving out

    def _overdue(self, everything: bool) -> Sequence[str]:
        """The next entries that have to go, and no more appending where they are."""
        if not self._segments:
            return ()
        oldest = self._segments[0]
        if (
            not everything
            and len(self._segments) <= MAX_SEGMENTS
            and time.monotonic() - oldest.born < MAX_AGE
        ):
            return ()
        if oldest is self._current:
            self._close_current()
        return list(islice(oldest.live, SLICE))

    def _move(self, job: MoveOut) -> None:
        names = [name for name in job.names if name in self.index]
        if not names:
            return
        prefix = SET_ASIDE if isinstance(job, SetAside) else ""
        try:
            if prefix:
                self._make_raw_files(names)
            else:
                self._make_files(names)
        except (OSError, CorruptEntry) as error:
            remove(self._disk, [kind + name for name in names for kind in (TEMPORARY, prefix)])
            job.error = error
            return
        # Durable before the file may get another name: else a crash would bring the entry back beside it.
        # If it cannot be, the next batch tries again.
        self._strike(names)
        self._sync(Sync())

    def _make_raw_files(self, names: Sequence[str]) -> None:
        for name in names:
            write_bytes(self._disk, SET_ASIDE + name, _read(self._disk, self.index[name]))
        self._disk.sync_directory()

    def _make_files(self, names: Sequence[str]) -> None:
        for name, todo, message in self._contents(names):
            write_file(self._disk, TEMPORARY + name, todo, iter((message,)))
        for name in names:
            self._disk.rename(TEMPORARY + name, name)
        self._disk.sync_directory()

    def _contents(self, names: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
        places: dict[Place, list[str]] = {}
        for name in names:
            places.setdefault(self.index[name], []).append(name)
        for place, here in places.items():
            mail = read_mail(self._disk, place)
            todos = dict(mail.entries)
            for name in here:
                yield name, todos[name], mail.message


def read_mail(disk: Disk, place: Place) -> JournalMail:
    """Read the record at a place. Raises CorruptEntry, OSError; FileNotFoundError when the segment is gone."""
    found = record_at(place.segment.name.marker, _read(disk, place), 0)
    if found is None:
        raise CorruptEntry(f"{place.segment.name.text} is damaged at byte {place.start}")
    return JournalMail.decode(found.payload)


def _read(disk: Disk, place: Place) -> bytes:
    fd = disk.open(place.segment.name.text)
    try:
        return disk.read(fd, place.length, place.start)
    finally:
        disk.close(fd)


def _mail(commit: Commit) -> JournalMail | None:
    try:
        return JournalMail(commit.entries, _whole(commit.message))
    except Exception as error:
        # Whatever it is, it concerns this message and not its neighbours; who waits for it gets it raised.
        commit.error = error
        return None


def _whole(message: MessageSource) -> bytes:
    return _ending_a_line(b"".join(message.chunks()))


def _ending_a_line(data: bytes) -> bytes:
    return data if not data or data.endswith(b"\r\n") else data + b"\r\n"
