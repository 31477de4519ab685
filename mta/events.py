"""The event stream: one JSON object a line for each thing that happens to a mail. docs/Events.md is its specification."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from mta.log_format import iso_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mta.smtp.reply import Reply

VERSION = 1  # of the schema; it grows only when a field changes its meaning or goes
MAX_TEXT = 1000  # characters of a text that a stranger chose
MAX_RECIPIENTS = 50  # in one event, so that a line stays below 64 KiB, which is what one write takes

# What a plugin has put in the place of a text must not end a delivery.
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Events:
    """Where all rooms of one worker put their events.

    on: somebody reads them; whoever has one to tell asks this first, so that nothing is made that nobody wants.
    host: our name. worker: the number of the process. headers: fields of a message that `data` shows besides Message-Id.
    """

    __slots__ = ("_write", "headers", "host", "on", "worker")

    def __init__(self, host: str = "", worker: int = 0) -> None:
        self.host = host
        self.worker = worker
        self.headers: tuple[str, ...] = ()
        self.on = False
        self._write: Callable[[str], None] = _nowhere

    def begin(self, write: Callable[[str], None]) -> None:
        """From now on each event is handed to write(), a line without its end."""
        self._write = write
        self.on = True

    def end(self) -> None:
        """There are no events any more."""
        self.on = False
        self._write = _nowhere

    def emit(self, event: str, id: str, fields: Mapping[str, object], at: float | None = None) -> None:
        """Write one event. id: the uuid of what it happened to; at: when, in seconds since 1970, now if not given."""
        self._write(self.line(event, id, fields, time.time() if at is None else at))

    def lost(self, count: int) -> str:
        """The line that stands for so many events that could not be written."""
        return self.line("lost", "-", {"count": count}, time.time())

    def line(self, event: str, id: str, fields: Mapping[str, object], at: float) -> str:
        """One event as JSON in ASCII: whatever a stranger put into it, it ends no line and drives no terminal."""
        record = {
            "event": event,
            "time": iso_time(at),
            "id": id,
            "host": self.host,
            "worker": self.worker,
            "v": VERSION,
            **fields,
        }
        text = _encode(record)
        return _without_lone_surrogates(record) if "\\ud" in text else text


def _nowhere(line: str) -> None:
    """Nobody reads it."""


def _without_lone_surrogates(record: Mapping[str, object]) -> str:
    """Octets that are no UTF-8 (PEP 383) have no form in JSON that all parsers take (RFC 8259 8.2)."""
    text = json.dumps(record, ensure_ascii=False, default=str).encode("utf-8", "replace")
    return _encode(json.loads(text))


# -- values that several events have


def verdict(code: int) -> str:
    """What a reply code means for whoever asked: accepted, deferred or rejected."""
    if code < 400:
        return "accepted"
    return "deferred" if code < 500 else "rejected"


def reply(said: Reply) -> dict[str, object]:
    """A reply in its parts."""
    return {"code": said.code, "enhanced": said.enhanced, "text": said.text[:MAX_TEXT]}


def batches(items: Sequence[str]) -> Iterator[list[str]]:
    """The items in lists short enough for one event each."""
    for start in range(0, len(items), MAX_RECIPIENTS):
        yield list(items[start : start + MAX_RECIPIENTS])


def rounded(seconds: float) -> float:
    """A duration with milliseconds; a clock that was set back makes none negative."""
    return max(0.0, round(seconds, 3))
