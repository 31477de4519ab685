"""Plugins in installed packages: the entry points of a group."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "haraka.plugins"


def offered(name: str) -> Iterable[EntryPoint]:
    """The entry points of that name.

    importlib.metadata takes 20 ms to load and looks into every package for each question, so it is asked only where a package
    has the group.
    """
    if not any(map(_may_offer, sys.path)) and not any(map(_knows_others, sys.meta_path)):
        return ()
    from importlib.metadata import entry_points

    return entry_points(group=GROUP, name=name)


def _knows_others(finder: object) -> bool:
    return finder is not PathFinder and hasattr(finder, "find_distributions")


def _may_offer(folder: str) -> bool:
    try:
        return _has_group(folder or ".", os.stat(folder or ".").st_mtime_ns)
    except FileNotFoundError:
        return False
    except OSError:
        return True


@lru_cache(maxsize=64)
def _has_group(folder: str, _changed: int) -> bool:
    """Look through a directory of packages; what is no such directory is left to importlib.metadata."""
    path = Path(folder)
    if not path.is_dir() or path.suffix == ".egg":
        return True
    return any(GROUP.encode() in file.read_bytes() for file in path.glob("*.*-info/entry_points.txt"))
