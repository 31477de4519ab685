"""Taking hold of a queue directory: it exists, it is ours alone, it can be written."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mta.outbound.qfile import TEMPORARY
from mta.outbound.spool_commit import remove
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_errors import SpoolError, describe

PROC_LOCKS = Path("/proc/locks")
PROBE = TEMPORARY + "probe"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def open_directory(disk: Disk, path: Path) -> None:
    """Make the directory if it is missing, lock it, and write to it. Raises SpoolError with one line.

    A full disk is no error: it gets emptied by delivering what is in it. The lock belongs to the open file: processes forked
    afterwards hold it too, and it ends with the last of them (flock(2)).
    """
    try:
        if not path.exists():
            disk.make_directory(path)
    except OSError as error:
        raise SpoolError(f"cannot use queue directory {path}: {describe(error)}") from error
    _lock(use_directory(disk, path), path)
    _probe(disk, path)


def use_directory(disk: Disk, path: Path) -> int:
    """Use a directory that an open_directory before the fork has locked; its file descriptor. Raises SpoolError."""
    try:
        return disk.open_directory(path)
    except NotADirectoryError:
        raise SpoolError(f"queue directory {path} is not a directory") from None
    except OSError as error:
        raise SpoolError(f"cannot use queue directory {path}: {describe(error)}") from error


def state_directory(path: Path) -> Path:
    """Where what the queue knows beyond its entries is kept: beside it, for a Haraka would stumble over it inside."""
    return path.with_name(path.name + ".state")


def holder(path: Path) -> int | None:
    """The process whose queue directory this is at the moment; None when there is none that we know of."""
    try:
        return _lock_owner(path.stat())
    except OSError:
        return None


def faults(path: Path) -> Iterator[str]:
    """What would keep open_directory from succeeding, lines without the path; nothing is made or locked."""
    try:
        status = path.stat()
    except FileNotFoundError:
        if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
            yield "does not exist and cannot be made: its parent directory is missing or not writable"
        return
    except OSError as error:
        yield f"cannot be used: {describe(error)}"
        return
    if not stat.S_ISDIR(status.st_mode):
        yield "is not a directory"
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        yield f"is not writable for user {os.geteuid()}: it belongs to user {status.st_uid} (mode {_mode(status)})"


def doubts(path: Path, uid: int | None) -> Iterator[str]:
    """What lets a server start, but is not as it should be. uid: whose the directory should be; None: it is given away."""
    try:
        status = path.stat()
    except OSError:
        return
    if not stat.S_ISDIR(status.st_mode):
        return
    if uid not in (None, status.st_uid):
        yield f"belongs to user {status.st_uid}, but this is user {uid}"
    if status.st_mode & 0o007:
        yield f"other users may look into it (mode {_mode(status)}), and people's mail lies there: chmod 750"


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"


def _probe(disk: Disk, path: Path) -> None:
    try:
        remove(disk, [PROBE])
        disk.close(disk.create(PROBE))
        disk.unlink(PROBE)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise SpoolError(f"queue directory {path} is not writable: {describe(error)}") from error


def _lock(fd: int, path: Path) -> None:
    """Lock an open directory for this process, until fd is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = _lock_owner(os.fstat(fd))
        owner = "another process" if pid is None else f"process {pid}"
        raise SpoolError(f"queue directory {path} is in use by {owner}") from None
    except OSError as error:
        raise SpoolError(f"cannot lock queue directory {path}: {describe(error)}") from error


def _lock_owner(status: os.stat_result) -> int | None:
    """The process that holds the flock on a file, as far as the kernel tells (proc(5), /proc/locks)."""
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = PROC_LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        # 12: FLOCK  ADVISORY  WRITE 4711 fe:00:263043 0 EOF; with "->" before FLOCK it is one that waits.
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5] == device and words[4].isdecimal():
            return int(words[4]) or None
    return None
