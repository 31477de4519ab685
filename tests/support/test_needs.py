"""A missing tool skips a test on a developer's machine and fails it where CI=true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import ROOT

# What a worker of xdist has in its own would make workers of those below.
OWN_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST_")}

SUITE = """\
import pytest
from tests.support import needs

def test_program():
    needs.program("no-such-program", "no-such-package")

@pytest.mark.skip(reason="by a marker")
def test_marker(): ...

def test_module():
    pytest.importorskip("no_such_module")

@pytest.mark.xfail(strict=True)
def test_expected_failure():
    assert False
"""


@pytest.mark.parametrize(
    "parallel",
    [pytest.param([], id="one process"), pytest.param(["-n", "1"], id="parallel", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("ci", "summary"),
    [("", "3 skipped, 1 xfailed"), ("true", "2 failed, 1 xfailed, 1 error")],
    ids=["here", "in CI"],
)
def test_skips(ci: str, summary: str, parallel: list[str], tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.support.needs import pytest_runtest_makereport\n")
    (tmp_path / "test_it.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        *parallel,
    ]
    env = {**OWN_ENVIRONMENT, "CI": ci, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert summary in done.stdout, done.stdout + done.stderr
    assert "apt-get install no-such-package" in done.stdout


def test_a_program_that_is_there() -> None:
    from tests.support.needs import program

    assert Path(program("sh", "dash")).name == "sh"
