"""The file that events are added to: opened when log.ini says so, and again when somebody has moved it away."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from mta.log_writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mta.events import Events

MODE = 0o640
LOOK_SECONDS = 1.0  # between two looks whether the file is still where it was
TROUBLE_SECONDS = 60.0  # until the next look when there is none to be opened


class EventFile:
    """Gives the events of one worker a file, takes it away, or gives them another one.

    Relative names count from `directory`. complain: told in one line why a file could not be opened again.
    """

    __slots__ = ("_complain", "_directory", "_events", "_fd", "_looked", "_path", "_writer")

    def __init__(self, events: Events, directory: Path, complain: Callable[[str], None]) -> None:
        self._events = events
        self._directory = directory
        self._complain = complain
        self._path: Path | None = None
        self._writer: LogWriter | None = None
        self._fd = -1
        self._looked = 0.0

    def use(self, name: str) -> None:
        """Write to this file from now on, to none when the name is empty. Raises OSError; then all is as it was."""
        path = self._directory / name if name else None
        if path == self._path:
            return
        fd = _open(path) if path is not None else -1
        old, old_fd = self._writer, self._fd
        self._path, self._fd, self._writer = path, fd, None
        if path is None:
            self._events.end()
        else:
            # Several workers share the file: lines are whole in each write, and O_APPEND keeps writes apart.
            self._writer = LogWriter(fd, dropped_line=self._events.lost, shared=True)
            self._events.begin(self._write)
        if old is not None and old.close():
            os.close(old_fd)  # else the thread still writes there

    def reopen(self) -> None:
        """Open the file by its name again: what was moved away is finished, a new one begun. Complains if it can not."""
        if self._path is None:
            return
        try:
            fd = _open(self._path)
        except OSError as error:
            self._looked = time.monotonic() + TROUBLE_SECONDS
            self._complain(f"cannot open the event file again, going on with the old one: {error}")
            return
        os.dup2(fd, self._fd, inheritable=False)  # the thread that writes never sees a closed descriptor
        os.close(fd)

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self.use("")

    def _write(self, line: str) -> None:
        if self._writer is None:
            return
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if self._moved():
                self.reopen()
        self._writer.write(line)

    def _moved(self) -> bool:
        """True when the name means another file by now, or none: somebody rotates."""
        try:
            return self._path is not None and not os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except OSError:
            return True


def _open(path: Path) -> int:
    """Append to a file that others may read in our group, in a directory that may be new."""
    path.parent.mkdir(mode=0o750, exist_ok=True)
    return os.open(
        path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK, MODE
    )
