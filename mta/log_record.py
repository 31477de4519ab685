"""The levels, and the record: one thing that happened."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from greenlet import getcurrent

from mta.log_secrets import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from greenlet import greenlet

EMERG, ALERT, CRIT, ERROR, WARN, NOTICE, INFO, DEBUG, PROTOCOL, DATA = range(10)

LEVEL_NAMES = ("EMERG", "ALERT", "CRIT", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG", "PROTOCOL", "DATA")
"""The names of the levels, each at its number: 0 is the most important."""
LEVELS = {name: number for number, name in enumerate(LEVEL_NAMES)}
"""The numbers of the levels by their names."""


class Running(NamedTuple):
    """The hook that a greenlet is in: whose plugin, about whom (a connection, a queued mail, ...), and how long it may take.

    due: when its time is up, by the monotonic clock. seconds: how much it had; 0: as long as it likes. outer: the hook in which
    this one is run.
    """

    hook: str
    plugin: str
    subject: object
    due: float = float("inf")
    seconds: float = 0.0
    outer: Values | None = None


Values = tuple[
    str, str, object, float, float, "Values | None"
]  # of a Running, which takes five times as long to make

RUNNING: dict[greenlet, Values] = {}
"""What the runner of hooks says while it asks a plugin, by greenlet: the values of a Running. A context variable costs three
times as much, and this is written for every call of a plugin."""


def running() -> Running | None:
    """The innermost hook that this greenlet is in, if any."""
    values = RUNNING.get(getcurrent())
    return None if values is None else Running(*values)


@contextmanager
def logging_in(hook: Values | None) -> Iterator[None]:
    """Within the block this greenlet, or thread, logs as in a hook that another one is in."""
    current = getcurrent()
    if hook is not None:
        RUNNING[current] = hook
    try:
        yield
    finally:
        RUNNING.pop(current, None)


class Record:
    """One thing that happened: what the log hook sees and what becomes one line.

    fields: the key=value pairs. origin: `core`, the name of a plugin, `outbound` ... time: in seconds since 1970.
    about: the connection, transaction or queued mail that it is about, None when nobody said, or it is about none.
    hook: the hook that was being run, "" outside any. plugin: the plugin that speaks, "" when the server does.
    parts: what was handed to the log call, in that order. printed: log.ini lets it be written to standard output.
    The last five are there when a plugin listens at hook log.
    """

    __slots__ = (
        "about",
        "connection",
        "fields",
        "hook",
        "level",
        "message",
        "origin",
        "parts",
        "plugin",
        "printed",
        "time",
        "transaction",
        "uuid",
    )

    def __init__(
        self, level: int, message: str, fields: Mapping[str, object] | None, origin: str, uuid: str
    ) -> None:
        self.level = level
        self.message = message
        self.fields: Mapping[str, object] = masked(fields) if fields else {}
        self.origin = origin
        self.uuid = uuid
        self.time = time.time()
        self.about: object = None
        self.connection: Any = None
        self.transaction: Any = None
        self.hook = ""
        self.plugin = ""
        self.parts: tuple[object, ...] = ()
        self.printed = True

    @property
    def level_name(self) -> str:
        """The level in capitals, as it stands in the line."""
        return LEVEL_NAMES[self.level]

    def place(self, about: object, plugin: str, parts: tuple[object, ...]) -> None:
        """Find out where this happened: about whom, in which hook, and who speaks."""
        within = running()
        if within is not None:
            about = within.subject if about is None else about
            plugin = plugin or (within.plugin if within.plugin == self.origin else "")
        self.about = about
        self.plugin = plugin
        self.hook = within.hook if within is not None else str(self.fields.get("hook", ""))
        self.parts = parts or (self.message,)
        if hasattr(about, "remote"):  # a connection: what it is working on belongs to it
            self.connection = about
            self.transaction = getattr(about, "transaction", None)
        elif hasattr(about, "rcpt_to"):
            self.transaction = about
            self.connection = self._connection_of(within, about)

    @staticmethod
    def _connection_of(within: Running | None, transaction: object) -> object:
        """A transaction does not know its connection; the hook that is being run may."""
        subject = within.subject if within is not None else None
        return subject if getattr(subject, "transaction", None) is transaction else None
