"""The base class of plugins that write log records somewhere."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mta.log_format import record_text
from mta.log_writer import LogWriter
from mta.logger import LEVELS
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import OK, Answer

if TYPE_CHECKING:
    from mta.logger import Record

STANDARD_ERROR = 2


class LogPlugin(Plugin):
    """Derive a logger from this: say with listen() what it wants to see, and take each record in take()."""

    always_ok: bool = False
    """True: what this plugin takes is not written to standard output as well."""

    @abstractmethod
    def take(self, record: Record) -> None:
        """Write one record. It is called where the record was made, so it must not wait for anything."""

    def listen(self, *loglevels: str) -> None:
        """See records up to the least important of these levels (`WARN`); "" stands for what log.ini lets through."""
        named = [LEVELS[level.upper()] for level in loglevels if level]
        self.log_level = max(named, default=None)
        if named and "" in loglevels and self.logger is not None:
            self.logger.want(self.name, self.log_level, printed=True)

    def hook_log(self, record: Record) -> Answer:
        """Take the record, and keep it from standard output if always_ok says so."""
        self.take(record)
        return OK if self.always_ok else None


def passes(record: Record, loglevel: str) -> bool:
    """True when a record is as important as a level (`WARN`); with "" when log.ini lets it through."""
    return record.level <= LEVELS[loglevel.upper()] if loglevel else record.printed


class StandardErrorPlugin(LogPlugin):
    """Writes lines to standard error: `ID (hook) plugin: message key=value`, see mark()."""

    writer: LogWriter | None = None

    def mark(self, record: Record) -> str:
        """What the line begins with: the number of the process, unless a class knows better."""
        return str(os.getpid())

    def follow(self, loglevel: str, always_ok: bool) -> None:
        """Take settings; call it again when they change."""
        self.always_ok = always_ok
        self.listen(loglevel)
        if self.writer is None:
            self.writer = LogWriter(STANDARD_ERROR, shared=True)

    def take(self, record: Record) -> None:
        """Write one line."""
        if self.writer is not None:
            self.writer.write(
                " ".join(filter(None, (self.mark(record), *_speaker(record), record_text(record))))
            )

    def shutdown(self) -> None:
        """Write what waits."""
        if self.writer is not None:
            self.writer.close()


def _speaker(record: Record) -> Iterable[str]:
    """`(hook)` and `plugin:`, as far as there are any."""
    if record.hook:
        yield f"({record.hook})"
    if record.origin != "core":
        yield f"{record.origin}:"
