"""`haraka -v`."""

from __future__ import annotations

from mta.version import VERSION


def show_version() -> int:
    """Print name and version."""
    print(f"Haraka-compatible MTA, version {VERSION}")
    return 0
