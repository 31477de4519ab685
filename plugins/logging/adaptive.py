"""Much of the log for mail that was rejected, little for mail that was accepted: lines wait until its fate is known."""

from __future__ import annotations

import copy
from collections import deque
from weakref import WeakKeyDictionary

from mta.plugin import (
    CONT,
    LEVELS,
    OK,
    Answer,
    Connection,
    Denial,
    LoggingAdaptiveSettings,
    Plugin,
    Record,
    record_text,
)

ACCEPTED, REJECTED, NEITHER = "accepted", "rejected", "neither"
LAST = 100
COST = 500  # bytes that a record takes besides its text


class Shared:
    """How many bytes wait in all."""

    size = 0


class Waiting:
    """The records of one connection whose fate is not known yet, and what was counted when they began."""

    def __init__(self, connection: Connection, shared: Shared) -> None:
        self.shared = shared
        self.records: deque[tuple[Record, int]] = deque()
        self.size = 0
        self.lost = 0
        self.over = ""
        self.begin(connection)

    def begin(self, connection: Connection) -> None:
        self.denied = False
        self.accepted = connection.msg_count.accept
        self.refused = refusals(connection)
        self.last_reject = connection.last_reject

    def __del__(self) -> None:
        self.shared.size -= self.size  # of a session that ended without a word

    def fate(self, connection: Connection) -> str:
        if connection.msg_count.accept > self.accepted:
            return ACCEPTED
        refused = refusals(connection) > self.refused or connection.last_reject != self.last_reject
        return REJECTED if self.denied or refused else NEITHER


def refusals(connection: Connection) -> int:
    """How many messages and recipients were not accepted, for now or for good."""
    counts = (connection.msg_count, connection.rcpt_count)
    return sum(count.tempfail + count.reject for count in counts)


class Adaptive(Plugin):
    """Writes to standard output in the form that log.ini says; other logging plugins see everything at once, as ever."""

    cfg: LoggingAdaptiveSettings = LoggingAdaptiveSettings()

    def register(self) -> None:
        self.waiting: WeakKeyDictionary[Connection, Waiting] = WeakKeyDictionary()
        self.shared = Shared()
        self.change(self.config.settings(LoggingAdaptiveSettings, on_change=self.change))
        self.register_hook("deny", self.note_denial, -LAST)
        self.register_hook("reset_transaction", self.decide, LAST)
        self.register_hook("disconnect", self.end, LAST)

    def change(self, cfg: LoggingAdaptiveSettings) -> None:
        self.cfg = cfg
        self.levels = {
            ACCEPTED: LEVELS[cfg.accept],
            REJECTED: LEVELS[cfg.reject],
            NEITHER: LEVELS[cfg.accept],
        }
        self.prefixes = {ACCEPTED: cfg.accept_prefix, REJECTED: cfg.reject_prefix, NEITHER: ""}
        self.immediate = LEVELS[cfg.immediate]
        self.log_level = max(*self.levels.values(), self.immediate)
        if self.logger is not None:
            self.logger.want(self.name, self.log_level, printed=True)

    # ---- records

    def hook_log(self, record: Record) -> Answer:
        connection = record.connection
        if connection is None:
            return CONT  # it has no fate to wait for
        waiting = self.waiting.get(connection)
        if waiting is None:
            waiting = self.waiting[connection] = Waiting(connection, self.shared)
        if record.level <= self.immediate:
            self.write(record, "")
        elif waiting.over:
            self.write_for(record, waiting.over)
        else:
            self.keep(waiting, record)
        return OK

    def keep(self, waiting: Waiting, record: Record) -> None:
        """Remember a record, within the bounds; the oldest of this connection make room."""
        kept = copy.copy(record)
        kept.fields = {key: _plain(value) for key, value in record.fields.items()}
        kept.connection = kept.transaction = kept.about = None  # or the connection would never be forgotten
        kept.parts = ()
        size = COST + len(record_text(kept))
        while waiting.records and waiting.size + size > self.cfg.max_kb * 1024:
            self.drop_oldest(waiting)
        if self.shared.size + size > self.cfg.max_total_kb * 1024:
            waiting.lost += 1
            return
        waiting.records.append((kept, size))
        waiting.size += size
        self.shared.size += size

    def drop_oldest(self, waiting: Waiting) -> None:
        _, size = waiting.records.popleft()
        waiting.size -= size
        waiting.lost += 1
        self.shared.size -= size

    # ---- what becomes of the mail

    def note_denial(self, connection: Connection, denial: Denial) -> Answer:
        if (waiting := self.waiting.get(connection)) is not None:
            waiting.denied = True
        return None

    def decide(self, connection: Connection) -> Answer:
        """The transaction ends: write what its fate deserves, and begin anew."""
        if (waiting := self.waiting.get(connection)) is not None:
            self.release(waiting, waiting.fate(connection))
            waiting.begin(connection)
        return None

    def end(self, connection: Connection) -> Answer:
        """The session ends; what is logged after that shares the fate of its end."""
        if (waiting := self.waiting.get(connection)) is not None:
            fate = waiting.fate(connection)
            self.release(waiting, fate)
            waiting.over = fate
        return None

    def release(self, waiting: Waiting, fate: str) -> None:
        records, lost = waiting.records, waiting.lost
        self.shared.size -= waiting.size
        waiting.records, waiting.size, waiting.lost = deque(), 0, 0
        if lost and self.logger is not None:
            self.logger.warn(f"{lost} log lines of one connection were not kept", origin=self.name)
        for record, _ in records:
            self.write_for(record, fate)

    def write_for(self, record: Record, fate: str) -> None:
        if record.level <= self.levels[fate]:
            self.write(record, self.prefixes[fate])

    def write(self, record: Record, prefix: str) -> None:
        if self.logger is None:
            return
        written = copy.copy(record)
        written.message = f"{prefix} {record.message}" if prefix else record.message
        self.logger.write(written)


def _plain(value: object) -> object:
    """A value that can not change while it waits, and keeps nothing else alive."""
    return value if value is None or isinstance(value, str | int | float) else str(value)
