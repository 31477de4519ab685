"""A throw-away installation directory with a Config over it, and the problems that it reported."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mta.config import Config, Problem
from mta.paths import ETC


class Install:
    """`write(name, text)` puts a file into config/; `problems` are the lines for the operator."""

    def __init__(self, directory: Path, shipped: Path = ETC) -> None:
        self.directory = directory
        self.reported: list[Problem] = []
        (directory / "config").mkdir()
        self.config = Config(directory, shipped, self.reported.append)

    @property
    def problems(self) -> list[str]:
        """The lines, each without the directory."""
        return [str(problem).replace(f"{self.directory}/config/", "") for problem in self.reported]

    def path(self, name: str) -> Path:
        return self.directory / "config" / name

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path


def eventually(true: Callable[[], object], seconds: float = 5.0) -> bool:
    """Wait until `true()` is; False when it never was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())
