"""The logger, which turns records into lines."""

from __future__ import annotations

import sys
from collections import deque
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING

from mta.log_format import FORMATS, coloured, with_timestamp
from mta.log_record import (
    ALERT,
    CRIT,
    DATA,
    DEBUG,
    EMERG,
    ERROR,
    INFO,
    LEVEL_NAMES,
    LEVELS,
    NOTICE,
    PROTOCOL,
    RUNNING,
    WARN,
    Record,
    Running,
    Values,
    logging_in,
    running,
)
from mta.log_rules import LogRules, Relabel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ALERT",
    "CRIT",
    "DATA",
    "DEBUG",
    "EMERG",
    "ERROR",
    "INFO",
    "LEVELS",
    "LEVEL_NAMES",
    "MAX_HELD",
    "NOTICE",
    "PROTOCOL",
    "RUNNING",
    "WARN",
    "Logger",
    "Record",
    "Relabel",
    "Running",
    "Values",
    "logging_in",
    "running",
]

MAX_HELD = 10_000  # records kept while plugins load; a start that logs more is broken anyway

_INSIDE: ContextVar[bool] = ContextVar("_INSIDE", default=False)  # the log hook runs, in this greenlet


class Logger:
    """Writes what is at or above the level; below it a call costs one comparison.

    `write` receives each finished line without its line end. `hold` keeps records back until
    plugins_ready(), so that the log hook sees what happened before its plugins were loaded.
    level: the least important one that anybody cares about, which may be a plugin at hook log.
    """

    __slots__ = (
        "_colours",
        "_direct",
        "_format",
        "_held",
        "_lost",
        "_rules",
        "_timestamps",
        "_wanted",
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
        self._rules = LogRules(level)
        self._wanted: dict[str, tuple[int, bool]] = {}
        self._format = FORMATS[format]
        self._timestamps = timestamps
        self._colours = colours
        self._write = write or _print_line
        self.on_record: Callable[[Record], bool] | None = None
        self._held: deque[Record] | None = deque(maxlen=MAX_HELD) if hold else None
        self._lost = 0
        self._settle()

    def configure(
        self, *, level: int | None = None, format: str | None = None, timestamps: bool | None = None
    ) -> None:
        """Change what is given, leave the rest. Raises KeyError for an unknown format."""
        if level is not None:
            self._rules = replace(self._rules, level=level)
            self._settle()
        if format is not None:
            self._format = FORMATS[format]
        if timestamps is not None:
            self._timestamps = timestamps

    def rule(
        self, plugins: Mapping[str, int], hooks: Mapping[str, int], relabel: Mapping[str, Relabel]
    ) -> None:
        """Set the levels of single sources and hooks, and by source how levels are changed."""
        self._rules = LogRules(self._rules.level, dict(plugins), dict(hooks), dict(relabel))
        self._settle()

    def want(self, plugin: str, level: int | None, *, printed: bool = False) -> None:
        """Let hook log of this plugin see everything up to a level, and what is printed as well; None: only that."""
        if level is None:
            self._wanted.pop(plugin, None)
        else:
            self._wanted[plugin] = level, printed
        self._settle()

    def is_wanted(self, plugin: str, record: Record) -> bool:
        """True when hook log of this plugin is to see a record."""
        level, printed = self._wanted.get(plugin, (-1, True))
        return record.level <= level or (printed and record.printed)

    def _settle(self) -> None:
        """Work out what a call below the level is compared with, and whether a record needs a closer look at all."""
        listens = self.on_record is not None or self._held is not None
        self.level = self._rules.top([level for level, _ in self._wanted.values()] if listens else ())
        self._direct = not listens and self._rules.plain

    def plugins_ready(self, on_record: Callable[[Record], bool] | None) -> None:
        """Set the log hook, replay what was held back, and hold nothing back from now on.

        The hook answers True for a record that shall be written. Also call this, with None, when the start failed.
        """
        self.on_record = on_record
        held, self._held = self._held, None
        self._settle()
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
        about: object = None,
        plugin: str = "",
        parts: tuple[object, ...] = (),
    ) -> None:
        """Log at a level known only at run time. `fields` become key=value pairs.

        about: the connection, transaction or queued mail, for the log hook. plugin: who speaks, if it is one.
        parts: what the message was made of.
        """
        if self.level >= level:
            self._emit(level, message, fields, origin, uuid, about, plugin, parts)

    def data(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """Message content."""
        if self.level >= DATA:
            self._emit(DATA, message, fields, origin, uuid, about)

    def protocol(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """Each line of an SMTP dialogue."""
        if self.level >= PROTOCOL:
            self._emit(PROTOCOL, message, fields, origin, uuid, about)

    def debug(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """For who develops the server or a plugin."""
        if self.level >= DEBUG:
            self._emit(DEBUG, message, fields, origin, uuid, about)

    def info(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """What went on, in detail."""
        if self.level >= INFO:
            self._emit(INFO, message, fields, origin, uuid, about)

    def notice(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """The normal record of sessions, messages and deliveries."""
        if self.level >= NOTICE:
            self._emit(NOTICE, message, fields, origin, uuid, about)

    def warn(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """Something is odd; the server copes."""
        if self.level >= WARN:
            self._emit(WARN, message, fields, origin, uuid, about)

    def error(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """One message or session suffered."""
        if self.level >= ERROR:
            self._emit(ERROR, message, fields, origin, uuid, about)

    def crit(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """A part of the server does not work."""
        if self.level >= CRIT:
            self._emit(CRIT, message, fields, origin, uuid, about)

    def alert(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """Somebody must act at once."""
        if self.level >= ALERT:
            self._emit(ALERT, message, fields, origin, uuid, about)

    def emerg(
        self,
        message: str,
        fields: Mapping[str, object] | None = None,
        *,
        origin: str = "core",
        uuid: str = "-",
        about: object = None,
    ) -> None:
        """The server cannot run."""
        if self.level >= EMERG:
            self._emit(EMERG, message, fields, origin, uuid, about)

    def render(self, record: Record) -> str:
        """The line for this record in the current format, without line end."""
        line = with_timestamp(self._format, record) if self._timestamps else self._format(record)
        return coloured(line, record.level) if self._colours else line

    def write(self, record: Record) -> None:
        """Write the line of a record whatever its level is, and ask nobody; for plugins at hook log."""
        self._write(self.render(record))

    def _emit(
        self,
        level: int,
        message: str,
        fields: Mapping[str, object] | None,
        origin: str,
        uuid: str,
        about: object = None,
        plugin: str = "",
        parts: tuple[object, ...] = (),
    ) -> None:
        record = Record(level, message, fields, origin, uuid)
        if self._direct:
            self._write(self.render(record))
            return
        record.place(about, plugin, parts)
        self._rules.apply(record)
        if self._held is None:
            self._pass_on(record)
        else:
            self._lost += len(self._held) == MAX_HELD  # the deque lets go of its oldest one
            self._held.append(record)

    def _pass_on(self, record: Record) -> None:
        agreed = self.on_record is None or self._hook_agrees(record)
        if agreed and record.printed:
            self._write(self.render(record))

    def _hook_agrees(self, record: Record) -> bool:
        """Ask the log hook; what a log plugin logs itself is written without asking it again."""
        assert self.on_record is not None
        if _INSIDE.get():
            return True
        token = _INSIDE.set(True)
        try:
            return self.on_record(record)
        finally:
            _INSIDE.reset(token)


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
