"""What a process that did not end well left in its journal: its entries become queue files (docs/queue.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from mta.outbound.journal_name import SegmentName
from mta.outbound.journal_record import END, MESSAGE, Damage, JournalMail, Record, ended, scan
from mta.outbound.qfile import SET_ASIDE, TEMPORARY
from mta.outbound.spool_commit import Commit, commit_batch, remove, write_bytes
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_errors import SpoolError, describe

BATCH = 64  # messages that become files with one sync of the directory
READ = 1024 * 1024  # bytes at a time


@dataclass(slots=True)
class Replayed:
    """A step of a replay. names: entries that are queue files now; problems: lines for the operator."""

    names: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class _Bytes:
    """A message that is in memory."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def chunks(self) -> Iterator[bytes]:
        return iter((self._data,))


def segments_in(names: Iterable[str]) -> list[SegmentName]:
    """The journal segments among the names in a queue directory, the oldest first."""
    found = [segment for name in names if (segment := SegmentName.parse(name)) is not None]
    return sorted(found, key=lambda segment: segment.began)


def living(disk: Disk, segments: Iterable[SegmentName]) -> Iterator[JournalMail]:
    """The mails in some segments with those of their entries that nobody is done with. Raises OSError."""
    segments = list(segments)
    done = _done(disk, segments)
    for segment in segments:
        for found in _scan(disk, segment):
            if isinstance(found, Record) and (mail := _living_part(disk, found, done)) is not None:
                yield mail


def replay(disk: Disk, segments: Iterable[SegmentName], made: list[str]) -> Iterator[Replayed]:
    """Make queue files of what lives in some segments, and remove these. Blocks. Raises SpoolError; then begin anew.

    made: entries that are files already and were not told yet; give the same list when you begin anew. An entry is told when its segment is gone, so that no crash brings it back once it was delivered. What is damaged is set
    aside as error.SEGMENT.POSITION; the rest of the segment is as good as ever.
    """
    segments = list(segments)
    try:
        done = _done(disk, segments)
        problems, commits, read = list[str](), list[Commit](), list[SegmentName]()
        for segment in segments:
            for found in _scan(disk, segment):
                if isinstance(found, Damage):
                    problems.append(_set_aside(disk, segment, found))
                elif (mail := _living_part(disk, found, done)) is not None:
                    commits.append(Commit(mail.entries, _Bytes(mail.message)))
                if len(commits) >= BATCH:
                    made += _keep(disk, commits)
                    yield Replayed()  # nothing to tell yet, but whoever waits for us may do something else
            read.append(segment)
            if not commits:
                _remove(disk, read)
                yield _told(made, problems)
        made += _keep(disk, commits)
        _remove(disk, read)
        yield _told(made, problems)
    except OSError as error:
        raise SpoolError(f"cannot replay the journal: {describe(error)}") from error


def _keep(disk: Disk, commits: list[Commit]) -> list[str]:
    """Make queue files, durably; takes the commits out of the list and returns the names."""
    names = [name for commit in commits for name, _ in commit.entries]
    remove(disk, [TEMPORARY + name for name in names])  # a predecessor may have died while it did the same
    commit_batch(disk, commits)
    for commit in commits:
        if commit.error is not None:
            raise commit.error
    commits.clear()
    return names


def _told(made: list[str], problems: list[str]) -> Replayed:
    step = Replayed(made[:], problems[:])
    made.clear()
    problems.clear()
    return step


def _remove(disk: Disk, segments: list[SegmentName]) -> None:
    """Remove segments, the oldest first: a later one may hold the ends of what is in an earlier one."""
    while segments:
        if remove(disk, [segments[0].text]):
            raise SpoolError(f"cannot remove {segments[0].text}, whose entries are queue files now")
        del segments[0]


def replay_strangers(disk: Disk, slots: int) -> Iterator[Replayed]:
    """Replay what a server with another number of workers left: none of these would know it for its own. Raises SpoolError."""
    try:
        found = segments_in(disk.names())
    except OSError as error:
        raise SpoolError(f"cannot read the queue: {describe(error)}") from error
    yield from replay(disk, [segment for segment in found if segment.slots != slots], [])


def _living_part(disk: Disk, found: Record, done: Collection[str]) -> JournalMail | None:
    if found.kind != MESSAGE:
        return None
    mail = JournalMail.decode(found.payload)
    # Moving an entry out makes its file first, so one may have both.
    entries = [(name, todo) for name, todo in mail.entries if name not in done and not disk.exists(name)]
    return JournalMail(entries, mail.message) if entries else None


def _done(disk: Disk, segments: Iterable[SegmentName]) -> set[str]:
    return {
        name
        for segment in segments
        for found in _scan(disk, segment)
        if isinstance(found, Record) and found.kind == END
        for name in ended(found.payload)
    }


def _scan(disk: Disk, segment: SegmentName) -> Iterator[Record | Damage]:
    return scan(segment.marker, _read(disk, segment.text))


def _read(disk: Disk, name: str) -> bytes:
    try:
        fd = disk.open(name)
    except FileNotFoundError:
        return b""  # its owner, who is alive, has done with it meanwhile
    try:
        pieces = [disk.read(fd, READ, 0)]
        while pieces[-1]:
            pieces.append(disk.read(fd, READ, sum(map(len, pieces))))
        return b"".join(pieces)
    finally:
        disk.close(fd)


def _set_aside(disk: Disk, segment: SegmentName, damage: Damage) -> str:
    size = damage.end - damage.start
    if damage.unfinished:
        return f"{segment.text}: {size} bytes at its end were never finished, and nobody was promised them"
    name = f"{SET_ASIDE}{segment.text}.{damage.start}"
    data = _read(disk, segment.text)[damage.start : damage.end]
    remove(disk, [name])
    write_bytes(disk, name, data)
    return f"{segment.text}: {size} damaged bytes at {damage.start} set aside as {name}"
