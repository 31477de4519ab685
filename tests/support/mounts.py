"""File systems that a test mounts for itself, to fill or to take away the right to write."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import needs


@contextmanager
def tmpfs(directory: Path, size: str = "1m") -> Iterator[None]:
    """A file system of that size on a directory, which is made; ends the test where nobody may mount."""
    needs.root()
    directory.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        needs.missing("the right to mount a file system", done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def remount(directory: Path, mode: str) -> None:
    """Make it read-only ("ro") or writable again ("rw"), while others use it."""
    subprocess.run(["mount", "-o", f"remount,{mode}", str(directory)], check=True)
