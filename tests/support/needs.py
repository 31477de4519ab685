"""What a test needs from the machine: absent, it skips with the package to install, and fails where CI=true.

`tests/conftest.py` turns the rule on for every skip of the suite:

    from tests.support.needs import pytest_runtest_makereport  # noqa: F401
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support import haraka_js

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"])


def in_ci() -> bool:
    """Say whether a missing tool is a failure here."""
    return os.environ.get("CI", "").lower() == "true"


def missing(what: str, remedy: str) -> None:
    """End the running test: a skip on a developer's machine, a failure in CI."""
    text = f"{what} is not here: {remedy}"
    if in_ci():
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def find_program(name: str) -> str | None:
    """Return the path of a program, looking in the system directories as well."""
    return shutil.which(name, path=SEARCH_PATH)


def program(name: str, package: str) -> str:
    """Return the path of a program that Debian's `package` installs, or end the test."""
    path = find_program(name)
    if path is None:
        missing(name, f"apt-get install {package}")
    return str(path)


def postgres() -> Path:
    """Return the directory with the programs of PostgreSQL, which Debian keeps out of every PATH, or end the test."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = find_program("initdb")
    if initdb is None:
        missing("initdb", "apt-get install postgresql")
    return Path(str(initdb)).parent


def npm_haraka() -> Path:
    """Return the directory of Haraka 3.1.6, or end the test."""
    program("node", "nodejs")
    if not haraka_js.installed():
        missing("Haraka 3.1.6 from npm", "python -m tests.support.haraka_js installs it")
    return haraka_js.HARAKA


def root() -> None:
    """End the test unless it runs as root."""
    if os.geteuid() != 0:
        missing("the right to mount a file system", "run the tests as root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of any test into a failure in CI; an expected failure stays what it is."""
    report = yield
    if in_ci() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not be skipped where CI=true: {reason}"
    return report
