"""The template package in docs/: it builds a wheel, which brings plugin, configuration, documentation and tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from mta.paths import DOCS
from tests.support.client import RawClient
from tests.support.command import HARAKA
from tests.support.server import Server

pytestmark = pytest.mark.slow

ROOT = HARAKA.parent.parent
SHIPPED = ("plugins", "etc", "docs")
TEMPLATE = DOCS / "plugin-template"
NAME = "helo_names"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which the package is installed from its wheel, and the server as we have it."""
    place = tmp_path_factory.mktemp("package")
    source = place / "source"
    shutil.copytree(TEMPLATE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(source))
    run(sys.executable, "-m", "venv", "--without-pip", str(place / "venv"))
    python = place / "venv" / "bin" / "python"
    (wheel,) = place.glob("*.whl")
    pip("--python", str(python), "install", "--no-deps", str(wheel))
    (site,) = (place / "venv").glob("lib/python*/site-packages")
    ours = (ROOT, sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    (site / "ours.pth").write_text("".join(f"{path}\n" for path in dict.fromkeys(ours)))
    return python


def pip(*arguments: str) -> None:
    environment = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    run(sys.executable, "-m", "pip", *arguments, **environment)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        command, capture_output=True, encoding="utf-8", env={**os.environ, **environment}, timeout=60
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def haraka(python: Path, *arguments: str) -> str:
    result = run(str(python), str(HARAKA), *arguments)
    assert result.stderr == ""
    return result.stdout


def test_it_is_listed_with_its_package(python: Path) -> None:
    lines = haraka(python, "-l").splitlines()
    assert lines[:2] == ["*package haraka-plugin-helo-names 1.0.0", f"\t{NAME}"]


def test_its_page_is_shown(python: Path) -> None:
    page = TEMPLATE / "haraka_helo_names" / "docs" / f"{NAME}.md"
    assert haraka(python, "-h", NAME) == page.read_text()


def test_it_runs_with_its_defaults_below_the_operators_files(python: Path, tmp_path: Path) -> None:
    config = {
        "smtp.ini": "listen=127.0.0.1:{port}\nnodes=0\n",
        "plugins": f"{NAME}\nsecond: {NAME}\n",
        "second.list": "other.example\n",
        "second.ini": "message=not you, {host}\n",
    }
    command = (str(python), str(HARAKA), "-c")
    with Server(tmp_path, config, command=command) as server:
        assert "Nobody is called localhost" in answer(server.port, "localhost")
        assert "not you, other.example" in answer(server.port, "other.example")
        assert answer(server.port, "client.example").startswith("250")


def answer(port: int, name: str) -> str:
    with RawClient(port, hello="NOOP") as client:
        return client.command(f"EHLO {name}")


def test_its_tests_run_where_it_is_installed(python: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [str(python), "-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "haraka_helo_names"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


def test_its_types_are_right(python: Path) -> None:
    pytest.importorskip("mypy")
    run(sys.executable, "-m", "mypy", "--strict", str(TEMPLATE / "haraka_helo_names"))


def test_our_own_wheel_holds_what_an_author_needs(tmp_path: Path) -> None:
    """Types, the API page, the template with its configuration and tests, and the bundled plugins."""
    source = tmp_path / "source"
    for folder in ("mta", *SHIPPED):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source))
    (wheel,) = tmp_path.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    files = [
        path.relative_to(source) for top in SHIPPED for path in (source / top).rglob("*") if path.is_file()
    ]
    assert {"mta/py.typed", *(f"mta/shipped/{path}" for path in files)} <= names
