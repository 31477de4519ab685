"""Gets log lines into files, many of them if need be, without ever making a greenlet wait for the disk."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from mta.log_backlog import MAX_WAITING, Backlog
from mta.log_writer import plain_notice

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_OPEN = 64  # files; those written to last stay open
ANEW = ""  # a line for this path means: open files anew
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY


class LogFiles(Backlog[tuple[str, str]]):
    """Appends lines to files, every `interval` seconds, from a thread that lives while there are any.

    Files are made with `mode`, their directories as well. At most `max_waiting` characters wait, what is more is
    dropped, and a line tells how many. `complain(path, error)` is called, in the thread, when a file can not be
    written: once until one in that directory can be.
    """

    def __init__(
        self,
        complain: Callable[[str, OSError], object],
        *,
        mode: int = 0o640,
        interval: float = 0.05,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._complain = complain
        self._mode = mode
        self._open: OrderedDict[str, int] = OrderedDict()  # the thread's own
        self._untold = 0  # lines that were dropped, and no file says so yet
        self._broken: set[str] = set()  # directories
        super().__init__(interval, max_waiting)

    def write(self, path: str | os.PathLike[str], line: str) -> None:
        """Hand over one line, without its line end, for the file of that name. Never blocks."""
        self.put((os.fspath(path), line), len(line))

    def reopen(self) -> None:
        """Close all files: the next line for each opens it by its name, as rotation wants it."""
        self.put((ANEW, ""), 0)

    def close(self, timeout: float = 2.0) -> bool:
        """Write what waits, and close all files; True when that was done within `timeout` seconds."""
        self.reopen()
        return super().close(timeout)

    def _begin(self) -> None:
        self._open = OrderedDict()
        super()._begin()

    def _deliver(self, items: list[tuple[str, str]], dropped: int) -> None:
        self._untold += dropped
        lines: dict[str, list[str]] = {}
        for path, line in items:
            if path == ANEW:
                self._write_all(lines)
                self._close_all()
                lines = {}
            else:
                lines.setdefault(path, []).append(line)
        self._write_all(lines)

    def _write_all(self, lines: dict[str, list[str]]) -> None:
        for path, some in lines.items():
            told = [plain_notice(self._untold)] if self._untold else []
            try:
                self._append(path, "\n".join([*some, *told, ""]).encode("utf-8", "backslashreplace"))
            except OSError as error:
                self._lose(len(some))
                self._give_up(path, error)
            else:
                self._untold = 0
                self._broken.discard(os.path.dirname(path))

    def _append(self, path: str, data: bytes) -> None:
        fd = self._descriptor(path)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]

    def _descriptor(self, path: str) -> int:
        fd = self._open.get(path)
        if fd is None:
            Path(path).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            fd = self._open[path] = os.open(path, _FLAGS, self._mode)
        self._open.move_to_end(path)
        if len(self._open) > MAX_OPEN:
            os.close(self._open.popitem(last=False)[1])
        return fd

    def _give_up(self, path: str, error: OSError) -> None:
        fd = self._open.pop(path, None)
        if fd is not None:
            os.close(fd)
        directory = os.path.dirname(path)
        if directory not in self._broken:
            self._broken.add(directory)
            self._complain(path, error)

    def _close_all(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
