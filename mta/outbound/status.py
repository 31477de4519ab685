"""What is in a queue directory, for the command line: reads beside a running server, without its lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mta.outbound.journal_replay import living, segments_in
from mta.outbound.qfile import QueueFileName
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_entry import read_block, read_entry
from mta.outbound.spool_errors import CorruptEntry, EntryGone, SpoolError, describe
from mta.outbound.spool_message import EntryMessage
from mta.outbound.todo import Todo
from mta.record import record


@record
class QueuedEntry:
    """One entry and its envelope; size: bytes of its message."""

    name: QueueFileName
    todo: Todo
    size: int

    def __str__(self) -> str:
        """The line of --qlist."""
        todo = self.todo
        return f"Q: {self.name} rcpt:{len(todo.rcpt_to)} from:{todo.mail_from} domain:{todo.domain}"


@record
class QueueStat:
    """How many entries a queue directory has."""

    queue_dir: Path
    queue_count: int

    def __str__(self) -> str:
        """The text of --qstat."""
        path = str(self.queue_dir).replace("\\", "\\\\").replace("'", "\\'")
        return f"{{ queue_dir: '{path}', queue_count: {self.queue_count} }}"


def list_queue(directory: Path, problem: Callable[[str], None]) -> Iterator[QueuedEntry]:
    """The entries in a queue directory, in no order. problem: told in one line about each that cannot be read.

    Raises SpoolError when the directory cannot be read.
    """
    with _directory(directory) as disk:
        told = set()
        for name, todo, message in _in_journal(disk):
            told.add(name.text)
            yield QueuedEntry(name, Todo.decode(todo), len(message))
        for name in _entry_names(disk):
            if name.text in told:
                continue  # it became a file meanwhile
            try:
                entry = read_entry(disk, name.text)
                yield QueuedEntry(name, entry.todo, entry.size)
            except EntryGone:
                continue  # delivered, or moved to its next attempt, since we read its name
            except CorruptEntry as error:
                problem(f"{name}: {error}")
            except OSError as error:
                problem(f"{name}: {describe(error)}")


def read_message(directory: Path, name: QueueFileName) -> Iterator[bytes]:
    """The message of an entry in SMTP form, in pieces. Raises SpoolError."""
    with _directory(directory) as disk:
        for found, _, message in _in_journal(disk):
            if found == name:
                yield message
                return
        entry = read_entry(disk, name.text)
        yield from EntryMessage(entry, partial(read_block, disk, name.text, entry.size)).chunks()


def stat_queue(directory: Path) -> QueueStat:
    """Count the entries in a queue directory. Raises SpoolError when it cannot be read."""
    with _directory(directory) as disk:
        return QueueStat(
            directory, sum(1 for names in (_in_journal(disk), _entry_names(disk)) for _ in names)
        )


@contextmanager
def _directory(path: Path) -> Iterator[Disk]:
    disk = Disk()
    try:
        disk.open_directory(path)
        yield disk
    except OSError as error:
        raise SpoolError(f"cannot read queue directory {path}: {describe(error)}") from error
    finally:
        disk.close_directory()


def _in_journal(disk: Disk) -> Iterator[tuple[QueueFileName, bytes, bytes]]:
    """Names, encoded todos and messages of the entries that have no file of their own yet."""
    for mail in living(disk, segments_in(disk.names())):
        for name, todo in mail.entries:
            yield QueueFileName.parse(name), todo, mail.message


def _entry_names(disk: Disk) -> Iterator[QueueFileName]:
    for name in disk.names():
        try:
            yield QueueFileName.parse(name)
        except ValueError:
            continue
