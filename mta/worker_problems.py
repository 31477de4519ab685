"""What is wrong with the configuration: it stops a start, and is told when the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.logger import ERROR, WARN
from mta.processes.errors import refuse

if TYPE_CHECKING:
    from pathlib import Path

    from mta.config import Problem
    from mta.logger import Logger


class WorkerProblems:
    """loud: what is the same for all workers is told by the first one alone. fatal: until begun(), problems stop the start."""

    def __init__(self, logger: Logger, loud: bool) -> None:
        self._logger = logger
        self._loud = loud
        self._begun = False
        self._fatal: list[Problem] = []

    def notice(self, problem: Problem) -> None:
        """Keep it for refuse(), or tell it."""
        if problem.fatal and not self._begun:
            self._fatal.append(problem)
        elif self._loud:
            self._logger.log(ERROR if problem.fatal else WARN, str(problem), origin="config")

    def refuse(self, install_dir: Path) -> None:
        """Raise StartError if there were fatal ones."""
        refuse(self._fatal, install_dir)

    def begun(self) -> None:
        """The server runs: from now on everything is told."""
        self._begun = True
