"""What a check found: problems, and how bad they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any

from mta.config import Problem
from mta.record import record


class Severity(StrEnum):
    """An error keeps a server from starting, a warning does not, a note is nothing to do anything about."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@record
class Finding:
    """One problem; `str(finding)` is `FILE:LINE: severity: what is wrong`."""

    severity: Severity
    problem: Problem

    def __str__(self) -> str:
        return f"{self.problem.place}: {self.severity}: {self.problem.text}"

    def to_json(self) -> dict[str, Any]:
        """The same for machines; `line` is null when it is not known."""
        problem = self.problem
        return {
            "severity": str(self.severity),
            "file": problem.file,
            "line": problem.line or None,
            "section": problem.section,
            "key": problem.key,
            "message": problem.message,
            "allowed": problem.allowed,
        }


class Findings:
    """Collects; `notice` is what a Config reports to."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self.unread = False
        """True while files are read that the server would not: what is wrong there keeps nothing from starting."""

    def notice(self, problem: Problem) -> None:
        """Take a problem: one that is fatal is an error."""
        severity = Severity.ERROR if problem.fatal else Severity.WARNING
        if self.unread:
            severity = Severity.WARNING
            problem = replace(problem, message=f"{problem.message} (no plugin in use reads this file)")
        self.add(severity, problem)

    def add(self, severity: Severity, problem: Problem) -> None:
        """Take a problem that is as bad as that."""
        self._found.append(Finding(severity, problem))

    def notices(self, problems: Iterable[Problem]) -> None:
        """Take several."""
        for problem in problems:
            self.notice(problem)

    def all(self) -> list[Finding]:
        """What was found, by file and line."""
        return sorted(self._found, key=lambda finding: (finding.problem.file, finding.problem.line))
