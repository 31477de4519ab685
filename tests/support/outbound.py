"""Mails on their way out, made of the real parts."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mta.config.schema import SpoolSettings
from mta.logger import INFO, Logger
from mta.notes import Notes
from mta.outbound.hmail import HMail
from mta.outbound.hot import HotMessage
from mta.outbound.qfile import QueueFileName, QueueNamer
from mta.outbound.spool import FILES_ONLY, Spool
from mta.outbound.spool_disk import Disk
from mta.outbound.todo import Todo
from mta.smtp.address import Address

_namer = QueueNamer("relay.test")


def todo_for(rcpts: Sequence[str], *, domain: str = "b.test", mail_from: str = "sender@a.test") -> Todo:
    """The envelope of an entry that has just arrived."""
    return Todo(
        queue_time=int(time.time() * 1000),
        domain=domain,
        rcpt_to=[Address.parse(rcpt) for rcpt in rcpts],
        mail_from=Address.parse(mail_from),
        notes=Notes(),
        uuid="UUID.1.1",
    )


def name_with(attempts: int = 0) -> QueueFileName:
    """The name of an entry that is due and has failed so many times."""
    now_ms = int(time.time() * 1000)
    return _namer.next(_namer.new(now_ms, now_ms), attempts, now_ms)


def hmail_for(
    rcpts: Sequence[str],
    message: bytes,
    *,
    domain: str = "b.test",
    mail_from: str = "sender@a.test",
    attempts: int = 0,
    logger: Logger | None = None,
) -> HMail:
    """A mail in memory as the deliverer gets it."""
    todo = todo_for(rcpts, domain=domain, mail_from=mail_from)
    return HMail(
        name_with(attempts), todo, HotMessage([message]), logger or Logger(INFO, write=lambda line: None)
    )


def words(*lines: str) -> Callable[[str], Sequence[str]]:
    """Templates of which only the bounce's has something in it."""
    return lambda name: lines if name == "outbound.bounce_message" else ()


class FaultyDisk(Disk):
    """A disk that fails in the calls named in `failing` ("create", "rename", "unlink", "sync", "open", "names")."""

    __slots__ = ("errno", "failing")

    def __init__(self) -> None:
        super().__init__()
        self.failing: set[str] = set()
        self.errno = errno.ENOSPC

    def _maybe_fail(self, call: str) -> None:
        if call in self.failing:
            raise OSError(self.errno, os.strerror(self.errno))

    def names(self) -> Iterator[str]:
        self._maybe_fail("names")
        yield from super().names()

    def create(self, name: str) -> int:
        self._maybe_fail("create")
        return super().create(name)

    def rename(self, old: str, new: str) -> None:
        self._maybe_fail("rename")
        super().rename(old, new)

    def unlink(self, name: str) -> None:
        self._maybe_fail("unlink")
        super().unlink(name)

    def sync_directory(self) -> None:
        self._maybe_fail("sync_directory")
        super().sync_directory()

    def sync(self, fd: int) -> None:
        self._maybe_fail("sync")
        super().sync(fd)

    def open(self, name: str) -> int:
        self._maybe_fail("open")
        return super().open(name)


def opened(directory: Path, logger: Logger, journal: SpoolSettings = FILES_ONLY) -> tuple[Spool, FaultyDisk]:
    """An open spool in a directory, and the disk below it, sound so far. Close the spool."""
    disk = FaultyDisk()
    spool = Spool(directory, logger, hostname="relay.test", disk=disk, journal=journal)
    spool.open()
    return spool, disk


def queue_files(directory: Path) -> list[str]:
    """What lies in a queue directory, lock files and the like not counted."""
    return sorted(name for name in os.listdir(directory) if not name.startswith("."))
