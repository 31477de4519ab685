"""`haraka -p NAME`: what it writes passes as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mta.cli import main
from tests.support.command import haraka

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("greylist", "rcpt_to.staff", "queue/archive", "dns-list2", "3com", "a.b.c")


@pytest.fixture
def house(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    directory = tmp_path / "house"
    assert main(["-i", str(directory)]) == 0
    (directory / "config" / "plugins").write_text("relay\n")
    capsys.readouterr()
    return directory


def make(house: Path, name: str, *more: str) -> int:
    return main(["-c", str(house), "-p", name, *more])


@pytest.mark.slow
def test_what_is_written_passes_its_tests_and_checks(house: Path) -> None:
    for name in NAMES:
        assert make(house, name) == 0
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests"]
    result = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, f"{4 * len(NAMES)} passed" in result.stdout) == (0, True), result.stdout
    (house / "config" / "plugins").write_text("\n".join(NAMES))
    checked = haraka("check", "-c", str(house), "--strict")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("name", "files"),
    [
        (
            "greylist",
            [
                "plugins/greylist.py",
                "config/greylist.ini",
                "docs/plugins/greylist.md",
                "tests/test_greylist.py",
            ],
        ),
        (
            "rcpt_to.staff",
            [
                "plugins/rcpt_to/staff.py",
                "config/rcpt_to.staff.ini",
                "docs/plugins/rcpt_to/staff.md",
                "tests/test_rcpt_to_staff.py",
            ],
        ),
        (
            "haraka-plugin-queue/Archive",
            [
                "plugins/queue/Archive.py",
                "config/queue.Archive.ini",
                "docs/plugins/queue/Archive.md",
                "tests/test_queue_archive.py",
            ],
        ),
    ],
)
def test_where_it_is_written_and_found(
    house: Path, name: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path for path in house.rglob("*") if path.is_file()}
    assert make(house, name) == 0
    said = capsys.readouterr().out
    made = {
        str(path.relative_to(house)) for path in house.rglob("*") if path.is_file() and path not in before
    }
    assert made == set(files)
    assert all(f"created {house / path}" in said for path in files)
    plain = name.removeprefix("haraka-plugin-")
    assert main(["-h", plain, "-c", str(house)]) == 0
    assert capsys.readouterr().out.startswith(f"# {plain}\n")
    assert main(["-l", "-c", str(house)]) == 0
    assert f"\t{plain}\n" in capsys.readouterr().out


def test_nothing_is_overwritten_unless_told(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ini = house / "config" / "mine.ini"
    ini.write_text("users=eve\n")
    assert make(house, "mine") == 1
    assert capsys.readouterr().err == f"haraka: {ini} is there already; -f overwrites it\n"
    assert not (house / "plugins" / "mine.py").exists(), "all or nothing"
    assert make(house, "mine", "-f") == 0
    assert "users=nobody" in ini.read_text()


def test_a_link_is_not_written_through(house: Path) -> None:
    secret = house / "secret"
    secret.write_text("keep")
    (house / "plugins" / "mine.py").symlink_to(secret)
    assert make(house, "mine") == 1
    assert make(house, "mine", "-f") == 0
    assert secret.read_text() == "keep" and not (house / "plugins" / "mine.py").is_symlink()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("relay\n", "relay\n# mine\n", "take the # away in front of mine"),
        ("relay", "relay\n# mine\n", "take the # away in front of mine"),
        ("", "# mine\n", "take the # away in front of mine"),
        ("#mine\n", "#mine\n", "take the # away in front of mine"),
        ("mine\n", "mine\n", "names it already"),
        (None, None, "add the line mine to"),
    ],
)
def test_the_line_in_config_plugins(
    house: Path, before, after, said, capsys: pytest.CaptureFixture[str]
) -> None:
    path = house / "config" / "plugins"
    path.unlink()
    if before is not None:
        path.write_text(before)
    assert make(house, "mine") == 0
    assert said in capsys.readouterr().out
    assert (path.read_text() if path.exists() else None) == after


def test_the_line_does_nothing_yet(house: Path) -> None:
    assert make(house, "mine") == 0
    assert "mine" not in haraka("-o", "-c", str(house)).stdout


def test_the_name_of_a_bundled_plugin_is_told(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("rcpt_to.in_host_list", "xclient"):
        assert make(house, name) == 0
        assert f"takes the place of the bundled plugin {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", "../x", "/x", "a b", ".hidden", "all", "x/"])
def test_what_is_no_name(house: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(house, name) == 2
    assert "is not a name for a plugin" in capsys.readouterr().err
