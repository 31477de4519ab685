"""`haraka -c DIR`: start the server."""

from __future__ import annotations

from pathlib import Path

from mta.master import run


def serve(directory: Path) -> int:
    """Serve until a signal ends it; the exit status."""
    return run(directory)
