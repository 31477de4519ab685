"""Runs bin/haraka as an operator does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HARAKA = Path(__file__).resolve().parent.parent.parent / "bin" / "haraka"


def haraka(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end with extra environment variables; its output is text."""
    return subprocess.run(
        [sys.executable, HARAKA, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=30,
    )
