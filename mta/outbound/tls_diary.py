"""The days of which no report has gone out yet, as files: a restart loses minutes of counting, and no day."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from mta.outbound.tls_tally import TlsTally


class TlsDiary:
    """One JSON file (mode 0600) for each day in a directory, which is made when it is needed. Blocks."""

    __slots__ = ("_directory",)

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, day: date, tally: TlsTally) -> None:
        """Keep a day, in one step. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._directory / f"{day.isoformat()}.new"
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(tally.to_json(), file)
        temporary.replace(self._path(day))

    def read(self, day: date) -> TlsTally:
        """A day as it was kept; an empty one when there is none, or none that can be read: it is statistics."""
        try:
            return TlsTally.from_json(json.loads(self._path(day).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return TlsTally()

    def days(self) -> Iterator[date]:
        """The days that are kept, the earliest first."""
        try:
            names = sorted(os.listdir(self._directory))
        except OSError:
            return
        for name in names:
            try:
                yield date.fromisoformat(name.removesuffix(".json"))
            except ValueError:
                continue

    def remove(self, day: date) -> None:
        """Forget a day. Raises OSError."""
        self._path(day).unlink(missing_ok=True)

    def _path(self, day: date) -> Path:
        return self._directory / f"{day.isoformat()}.json"
