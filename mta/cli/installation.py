"""An installation directory as the commands see it that look at it without running it."""

from __future__ import annotations

import sys
from pathlib import Path

from mta import paths
from mta.cli.errors import CommandError
from mta.config import Config, Problem
from mta.config.schema import QUEUE_DIR


def open_config(directory: Path) -> Config:
    """The configuration of the installation; problems go to standard error, a fatal one is raised as CommandError."""
    return Config(directory, paths.ETC, _tell)


def queue_directory(directory: Path) -> Path:
    """Where the mail of the installation waits."""
    return directory / open_config(directory).value(QUEUE_DIR)


def _tell(problem: Problem) -> None:
    if problem.fatal:
        raise CommandError(str(problem))
    print(f"haraka: {problem}", file=sys.stderr)
