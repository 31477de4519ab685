"""Serving in the background: smtp.ini `daemonize`, `daemon_log_file`, `daemon_pid_file`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from gevent.monkey import get_original

READY = b"ok"
MAX_REPORT = 4096  # bytes

# Before there is an event loop, so that none is copied.
_fork: Callable[[], int] = get_original("os", "fork")
_close: Callable[[int], None] = get_original("os", "close")

Serve = Callable[[Callable[[str], None]], int]
"""Serves until the end and returns the exit status; calls what it is given with "" when it is ready, or with its start error."""


class DaemonError(Exception):
    """The log or the process id can not be written, or the server runs already; the text is one line."""


def daemonize(serve: Serve, log_file: Path, pid_file: Path) -> int:
    """Serve in a process of its own, and return here when it is ready (0), or not going to be (1, and one line on stderr).

    Output is appended to log_file (mode 0640). pid_file must not name a process that runs; it is removed at the end.
    Raises DaemonError.
    """
    log = _open_log(log_file)
    _claim(pid_file)
    reader, writer = os.pipe()
    pid = _fork()
    if pid == 0:
        _close(reader)
        _detach(serve, log, writer, pid_file)
    _close(writer)
    _close(log)
    said = os.read(
        reader, MAX_REPORT
    )  # one write; the end of the pipe may be long in coming, as workers hold it too
    _close(reader)
    if said == READY:
        return 0
    print(
        f"haraka: {said.decode(errors='replace').strip() or f'it ended at once, see {log_file}'}",
        file=sys.stderr,
    )
    return 1


def _detach(serve: Serve, log: int, writer: int, pid_file: Path) -> None:
    """What the child does; it never returns."""
    status = 1
    try:
        os.setsid()
        _redirect(log)
        pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
        status = serve(lambda error: _report(writer, error))
    except BaseException:
        traceback.print_exc()  # into the log: nothing behind this can be raised to anybody
    finally:
        _remove(pid_file)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def reopen(log_file: Path) -> str:
    """Write to the file of that name from now on: the one that was open has been moved. "", or why it stays as it was."""
    try:
        log = _open_log(log_file)
    except DaemonError as error:
        return str(error)
    for target in (1, 2):
        os.dup2(log, target)
    _close(log)
    return ""


def _redirect(log: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for fd, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(fd, target)


def _report(writer: int, error: str) -> None:
    try:
        os.write(writer, error.encode(errors="backslashreplace")[:MAX_REPORT] if error else READY)
        _close(writer)
    except OSError:
        return  # nobody waits for it any more


def _open_log(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise DaemonError(f"smtp.ini daemon_log_file: cannot write {path}: {error.strerror}") from error


def _claim(path: Path) -> None:
    """Make the file of the process id, unless it names a process that runs."""
    owner = _owner(path)
    if owner is not None:
        raise DaemonError(f"smtp.ini daemon_pid_file: {path} says that process {owner} serves already")
    try:
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    except OSError as error:
        raise DaemonError(f"smtp.ini daemon_pid_file: cannot write {path}: {error.strerror}") from error


def _owner(path: Path) -> int | None:
    """The running process that a file names, None when there is no file, no number in it, or no such process."""
    try:
        pid = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return pid if pid > 0 and _is_there(pid) else None


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return  # the directory belongs to root, and we do not any more: the next start sees that nobody is there
