"""What is wrong with the configuration: one line for the operator, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mta.record import record


class ConfigError(ValueError):
    """The program asked for something impossible: an unknown type, or a name outside the directory."""


@record
class Problem:
    """One thing that is wrong in one file; `str(problem)` is the line for the operator.

    `line` counts from 1, 0 when it is not known. `fatal` is True when the file, or a value of a known key in it, could
    not be read or understood, so that a server which is starting should not; a running one keeps what it had.
    """

    file: str
    message: str
    line: int = 0
    section: str = ""
    key: str = ""
    allowed: str = ""
    fatal: bool = False

    @property
    def place(self) -> str:
        """`FILE:LINE`, or only the file."""
        return _one_line(f"{self.file}:{self.line}" if self.line else self.file)

    @property
    def text(self) -> str:
        """What follows the place: section, key, what is wrong, what is allowed."""
        section = f"[{self.section}] " if self.section else ""
        key = f"{self.key}: " if self.key else ""
        if section and not key:
            section = f"[{self.section}]: "
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        return _one_line(f"{section}{key}{self.message}{allowed}")

    def saying(self, message: str) -> Problem:
        """The same place with another message."""
        return replace(self, message=message)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class ParseError(Exception):
    """A file could not be read or understood; `.problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


Notice = Callable[[Problem], None]
