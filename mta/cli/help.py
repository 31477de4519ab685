"""`haraka -h`: the usage, or a page of documentation."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from mta import paths
from mta.cli.errors import CommandError
from mta.cli.options import USAGE


def show_help(name: str, directory: Path | None) -> int:
    """Print the usage, or the page called `name` of the installation or of the shipped docs. Raises CommandError."""
    if name:
        _show(_find(name, directory))
    else:
        print(USAGE, end="")
    return 0


def _find(name: str, directory: Path | None) -> Path:
    """The installation's own page first; a plugin's page may be called `a.b` or lie at `a/b`."""
    places = [directory / "docs"] if directory else []
    for place in [*places, paths.DOCS]:
        for page in (name, f"plugins/{name}", f"plugins/{name.replace('.', '/', 1)}"):
            found = place / f"{page}.md"
            if found.is_file() and found.resolve().is_relative_to(place.resolve()):
                return found
    raise CommandError(f"no documentation found for {name}")


def _show(page: Path) -> None:
    """Through $PAGER on a terminal, plainly everywhere else and when the pager cannot be started."""
    if sys.stdout.isatty():
        pager = shlex.split(os.environ.get("PAGER", "less")) or ["cat"]
        try:
            subprocess.run([*pager, str(page)], check=False)
            return
        except OSError as error:
            print(f"haraka: cannot start the pager: {error}", file=sys.stderr)
    sys.stdout.write(page.read_text(encoding="utf-8"))
