"""Why a server does not start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mta.config import Problem


class StartError(Exception):
    """The server can't start; the text is one line that says why and what to do."""


def refuse(problems: Sequence[Problem], install_dir: Path) -> None:
    """Raise StartError if there are problems: the first one, and how many more."""
    if problems:
        others = len(problems) - 1
        more = f" (and {others} more, see haraka check -c {install_dir})" if others else ""
        raise StartError(f"{problems[0]}{more}")
