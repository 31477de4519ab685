"""What is wrong with the configuration: one line for the operator, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class ConfigError(ValueError):
    """The program asked for something impossible: an unknown type, or a name outside the directory."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in one file; `str(problem)` is the line for the operator.

    `line` counts from 1, 0 when it is not known. `fatal` is True when the file could not be read or understood, so
    that a server which is starting should not; a running one keeps what it had.
    """

    file: str
    message: str
    line: int = 0
    section: str = ""
    key: str = ""
    allowed: str = ""
    fatal: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        section = f" [{self.section}]" if self.section else ""
        name = section + (f" {self.key}" if self.key else "")
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        line = f"{where}:{name}{':' if name else ''} {self.message}{allowed}"
        return line if line.isprintable() else "".join(map(_printable, line))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


class ParseError(Exception):
    """A file could not be read or understood; `.problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


Notice = Callable[[Problem], None]
