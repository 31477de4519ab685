"""Levels, log records, and the logger that turns records into lines."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from mta.log_format import FORMATS, coloured, with_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EMERG, ALERT, CRIT, ERROR, WARN, NOTICE, INFO, DEBUG, PROTOCOL, DATA = range(10)

LEVEL_NAMES = ("EMERG", "ALERT", "CRIT", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG", "PROTOCOL", "DATA")
LEVELS = {name: number for number, name in enumerate(LEVEL_NAMES)}

MAX_HELD = 10_000  # records kept while plugins load; a start that logs more is broken anyway


class Record:
    """One thing that happened: what the log hook sees and what becomes one line."""

    __slots__ = ("fields", "level", "message", "origin", "time", "uuid")

    def __init__(
        self, level: int, message: str, fields: Mapping[str, object] | None, origin: str, uuid: str
    ) -> None:
        self.level = level
        self.message = message
        self.fields: Mapping[str, object] = fields or {}
        self.origin = origin
        self.uuid = uuid
        self.time = time.time()

    @property
    def level_name(self) -> str:
        """The level in capitals, as it stands in the line."""
        return LEVEL_NAMES[self.level]


class Logger:
    """Writes what is at or above the level; below it a call costs one comparison.

    `write` receives each finished line without its line end. `hold` keeps records back until
    plugins_ready(), so that the log hook sees what happened before its plugins were loaded.
    """

    __slots__ = (
        "_colours",
        "_format",
        "_held",
        "_inside",
        "_lost",
        "_timestamps",
        "_write",
        "level",
        "on_record",
    )

    def __init__(
        self,
        level: int = WARN,
        format: str = "default",
        timestamps: bool = False,
        colours: bool = False,
        write: Callable[[str], None] | None = None,
        *,
        hold: bool = False,
    ) -> None:
        self.level = level
        self._format = FORMATS[format]
        self._timestamps = timestamps
        self._colours = colours
        self._write = write or _print_line
        self.on_record: Callable[[Record], bool] | None = None
        self._held: deque[Record] | None = deque(maxlen=MAX_HELD) if hold else None
        self._lost = 0
        self._inside = threading.local()  # gevent makes this one per greenlet

    def configure(
        self, *, level: int | None = None, format: str | None = None, timestamps: bool | None = None
    ) -> None:
        """Change what is given, leave the rest. Raises KeyError for an unknown format."""
        if level is not None:
            self.level = level
        if format is not None:
            self._format = FORMATS[format]
        if timestamps is not None:
            self._timestamps = timestamps

    def plugins_ready(self, on_record: Callable[[Record], bool] | None) -> None:
        """Set the log hook, replay what was held back, and hold nothing back from now on.

        The hook answers True for a record that shall be written. Also call this, with None, when the start failed.
        """
        self.on_record = on_record
        held, self._held = self._held, None
        for record in held or ():
            self._pass_on(record)
        if self._lost:
            self.warn(
                f"{self._lost} earlier log lines were dropped before plugins were ready", origin="logger"
            )
            self._lost = 0

    def would_log(self, level: int) -> bool:
        """True when a record of this level is written."""
        return self.level >= level

    def log(
        self,
        level: int,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """Log at a level known only at run time. `fields` become key=value pairs."""
        if self.level >= level:
            self._emit(level, message, fields, origin, uuid)

    def data(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """Message content."""
        if self.level >= DATA:
            self._emit(DATA, message, fields, origin, uuid)

    def protocol(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """Each line of an SMTP dialogue."""
        if self.level >= PROTOCOL:
            self._emit(PROTOCOL, message, fields, origin, uuid)

    def debug(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """For who develops the server or a plugin."""
        if self.level >= DEBUG:
            self._emit(DEBUG, message, fields, origin, uuid)

    def info(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """What went on, in detail."""
        if self.level >= INFO:
            self._emit(INFO, message, fields, origin, uuid)

    def notice(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """The normal record of sessions, messages and deliveries."""
        if self.level >= NOTICE:
            self._emit(NOTICE, message, fields, origin, uuid)

    def warn(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """Something is odd; the server copes."""
        if self.level >= WARN:
            self._emit(WARN, message, fields, origin, uuid)

    def error(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """One message or session suffered."""
        if self.level >= ERROR:
            self._emit(ERROR, message, fields, origin, uuid)

    def crit(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """A part of the server does not work."""
        if self.level >= CRIT:
            self._emit(CRIT, message, fields, origin, uuid)

    def alert(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """Somebody must act at once."""
        if self.level >= ALERT:
            self._emit(ALERT, message, fields, origin, uuid)

    def emerg(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
    ) -> None:
        """The server cannot run."""
        if self.level >= EMERG:
            self._emit(EMERG, message, fields, origin, uuid)

    def render(self, record: Record) -> str:
        """The line for this record in the current format, without line end."""
        line = with_timestamp(self._format, record) if self._timestamps else self._format(record)
        return coloured(line, record.level) if self._colours else line

    def _emit(
        self, level: int, message: str, fields: Mapping[str, object] | None, origin: str, uuid: str
    ) -> None:
        record = Record(level, message, fields, origin, uuid)
        if self._held is None:
            self._pass_on(record)
        else:
            self._lost += len(self._held) == MAX_HELD  # the deque lets go of its oldest one
            self._held.append(record)

    def _pass_on(self, record: Record) -> None:
        if self.on_record is None or self._hook_agrees(record):
            self._write(self.render(record))

    def _hook_agrees(self, record: Record) -> bool:
        """Ask the log hook; what a log plugin logs itself is written without asking it again."""
        assert self.on_record is not None
        if getattr(self._inside, "hook", False):
            return True
        self._inside.hook = True
        try:
            return self.on_record(record)
        finally:
            self._inside.hook = False


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
