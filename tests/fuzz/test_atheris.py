"""Every target under atheris, which watches the branches that an input takes: about a minute for all of them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.support.needs import missing

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 2  # for each target, and one more for its start


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_target(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        missing("atheris", "pip install -e '.[fuzz]'")
    command = [sys.executable, "-m", "tests.fuzz", name, str(SECONDS), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS + 40)
    found = [path for path in tmp_path.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
    inputs = "\n".join(repr(path.read_bytes()) for path in found)
    assert done.returncode == 0, f"{inputs}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    runs = re.search(r"number_of_executed_units:\s*(\d+)", done.stdout + done.stderr)
    assert runs and int(runs[1]) > 100, f"it hardly ran: {done.stderr[-2000:]}"
