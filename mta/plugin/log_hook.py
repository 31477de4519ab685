"""Hook log: every logger is shown the records that it wants, and none can keep another from seeing them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mta.plugin.verdict import CONT, as_verdict

if TYPE_CHECKING:
    from mta.logger import Logger, Record
    from mta.plugin.hooks import HookMethod

TELL_AGAIN = 10.0  # seconds; a logger that fails at every line shall not fill the log with that


class Listener(Protocol):
    """A plugin at hook log."""

    @property
    def name(self) -> str: ...
    @property
    def method(self) -> HookMethod: ...


class LogHook:
    """Shows records to the plugins at hook log. What fails there is written to standard output, and stops nobody."""

    __slots__ = ("_logger", "_quiet", "_told")

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._told: dict[str, float] = {}  # when a plugin's failure was last told
        self._quiet: dict[str, int] = {}  # failures since then

    def ask(self, listeners: Sequence[Listener], record: Record) -> bool:
        """Show a record to all whom it concerns; True when none of them wants it kept from standard output.

        What a logger says itself, in whatever greenlet or thread, is shown to none.
        """
        if any(record.origin == listener.name for listener in listeners):
            return True
        printed = True
        for listener in listeners:
            if self._logger.is_wanted(listener.name, record):
                printed = self._show(listener, record) and printed
        return printed

    def _show(self, listener: Listener, record: Record) -> bool:
        try:
            return as_verdict(listener.method(record), listener.name).code is CONT
        except (Exception, SystemExit) as error:  # a time that is up belongs to who logs
            self._complain(listener.name, error)
            return True

    def _complain(self, name: str, error: BaseException) -> None:
        now = time.monotonic()
        if now - self._told.get(name, -TELL_AGAIN) < TELL_AGAIN:
            self._quiet[name] = self._quiet.get(name, 0) + 1
            return
        self._told[name] = now
        fields: dict[str, object] = {"traceback": "".join(traceback.format_exception(error))}
        if earlier := self._quiet.pop(name, 0):
            fields["failures_before"] = earlier
        text = f"Plugin {name} failed on hook log: {type(error).__name__}: {error}"
        self._logger.crit(text, fields, origin=name)
