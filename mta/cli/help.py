"""`haraka -h`: the usage, or a page of documentation."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from mta.cli.options import USAGE


def show_help(name: str, directory: Path | None) -> int:
    """Print the usage, or the page called `name` of the installation, of a plugin or of the shipped docs. Raises CommandError."""
    if not name:
        print(USAGE, end="")
        return 0
    from mta.cli.pages import find_page  # knows plugins, which the usage needs not

    page = find_page(name, directory)
    if isinstance(page, Path):
        _show(page)
    else:
        print(page)
    return 0


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
