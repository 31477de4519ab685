"""Sites and domains that an operator has suspended, with the time at which they resume; kept across restarts."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from mta.outbound.spool_errors import describe
from mta.record import record

FILE = "suspensions.json"
EVERYTHING = "*"
MAX_SUSPENSIONS = 100_000


class SuspensionsError(Exception):
    """The file of suspensions can not be read or written; the text is one line that says which and why."""


@record
class Suspension:
    """No mail goes to `scope`, a site or domain or EVERYTHING. until: seconds since 1970, None: until somebody resumes it."""

    scope: str
    until: float | None = None
    reason: str = ""

    def over(self, now: float) -> bool:
        """True when it has ended by itself."""
        return self.until is not None and self.until <= now


class Suspensions:
    """What is suspended at the moment. directory: where they are kept; None: in memory only. Raises SuspensionsError.

    by_scope: all of them, some of which may be over; only to see whether there are any.
    """

    __slots__ = ("_directory", "by_scope")

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self.by_scope: dict[str, Suspension] = {}
        self.read()

    def read(self) -> None:
        """What is written down is in force, and nothing else. Raises SuspensionsError."""
        if self._directory is not None:
            self.by_scope = _read(self._directory / FILE)

    def __bool__(self) -> bool:
        return bool(self.by_scope)

    def of(self, scope: str) -> Suspension | None:
        """The suspension of a site or domain, its own or that of everything."""
        if not self.by_scope:
            return None
        return self._current(scope) or self._current(EVERYTHING)

    def names(self, scope: str) -> bool:
        """True when the scope is suspended by its own name."""
        return bool(self.by_scope) and self._current(scope) is not None

    def all(self) -> list[Suspension]:
        """Those in force, by name."""
        return [each for scope in sorted(self.by_scope) if (each := self._current(scope)) is not None]

    def suspend(self, suspension: Suspension) -> None:
        """Add one, or replace that of the same scope; in force only once it is written down. Raises SuspensionsError."""
        if len(self.by_scope) >= MAX_SUSPENSIONS:
            raise SuspensionsError(f"there are {MAX_SUSPENSIONS} suspensions already")
        self._replace({**self.by_scope, suspension.scope: suspension})

    def resume(self, scope: str) -> bool:
        """End one; False when there was none. Raises SuspensionsError."""
        if self._current(scope) is None:
            return False
        # A copy: this runs in a thread, and those that end by themselves are taken out meanwhile.
        self._replace({name: each for name, each in dict(self.by_scope).items() if name != scope})
        return True

    def _current(self, scope: str) -> Suspension | None:
        found = self.by_scope.get(scope)
        if found is not None and found.over(time.time()):
            del self.by_scope[scope]
            return None
        return found

    def _replace(self, by_scope: dict[str, Suspension]) -> None:
        now = time.time()
        by_scope = {scope: each for scope, each in by_scope.items() if not each.over(now)}
        if self._directory is not None:
            _write(self._directory / FILE, list(by_scope.values()))
        self.by_scope = by_scope


def _read(path: Path) -> dict[str, Suspension]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = describe(error) if isinstance(error, OSError) else str(error)
        raise SuspensionsError(f"cannot read {path}: {reason}") from error
    try:
        return {each.scope: each for each in map(_suspension, json.loads(text))}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SuspensionsError(
            f"{path} is not a list of suspensions ({error}); remove it to resume everything"
        ) from error


def _suspension(item: dict[str, object]) -> Suspension:
    until = item["until"]
    if until is not None and (isinstance(until, bool) or not isinstance(until, int | float)):
        raise ValueError("until is not a time")
    return Suspension(str(item["scope"]), until, str(item["reason"]))


def _write(path: Path, suspensions: list[Suspension]) -> None:
    """The whole file anew, in one step; blocks. Each worker writes what it knows, which in the end is the same."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    text = json.dumps([asdict(each) for each in suspensions], indent=1)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.replace(temporary, path)
    except OSError as error:
        raise SuspensionsError(f"cannot write {path}: {describe(error)}") from error
