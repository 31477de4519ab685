"""Who may say how much: the level, and what log.ini says about single plugins and hooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from mta.log_record import DATA, EMERG, WARN
from mta.record import record

if TYPE_CHECKING:
    from mta.log_record import Record


@record
class Relabel:
    """How the levels of what a plugin says are changed: one for all of it (`fixed`), or `shift` steps from its own.

    A positive shift makes a line less important.
    """

    fixed: int | None = None
    shift: int = 0

    def of(self, level: int) -> int:
        """The new level, from EMERG to DATA."""
        return self.fixed if self.fixed is not None else min(max(level + self.shift, EMERG), DATA)

    def reach(self, level: int) -> int:
        """The least important level that may become `level` or a more important one."""
        if self.fixed is not None:
            return DATA if self.fixed <= level else level
        return min(max(level, level - self.shift), DATA)


@record
class LogRules:
    """The level of the log, and others for single sources (`plugins`) and hooks; that of the source goes first."""

    level: int = WARN
    plugins: Mapping[str, int] = field(default_factory=dict)
    hooks: Mapping[str, int] = field(default_factory=dict)
    relabel: Mapping[str, Relabel] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """True when the level is all there is."""
        return not (self.plugins or self.hooks or self.relabel)

    def top(self, wanted: Iterable[int] = ()) -> int:
        """The least important level at which a record may matter to somebody; wanted: what loggers ask for."""
        level = max(self.level, *self.plugins.values(), *self.hooks.values(), *wanted, EMERG)
        return max([level, *(relabel.reach(level) for relabel in self.relabel.values())])

    def apply(self, record: Record) -> None:
        """Give the record the level it shall have, and say whether it is printed."""
        relabel = self.relabel.get(record.origin)
        if relabel is not None:
            record.level = relabel.of(record.level)
        limit = self.plugins.get(record.origin)
        if limit is None:
            limit = self.hooks.get(record.hook, self.level)
        record.printed = record.level <= limit
