"""The examples are short, use the API alone, and have a test and a line in the README each."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from mta.paths import DOCS
from tests.support.command import haraka

EXAMPLES = DOCS / "examples"
PLUGINS = sorted((EXAMPLES / "plugins").glob("*.py"))
MAX_LINES = 25


def test_there_are_the_five() -> None:
    assert len(PLUGINS) >= 5


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_an_example_is_short_and_tested(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES
    assert "def test_" in (EXAMPLES / f"test_{path.stem}.py").read_text()
    assert f"[{path.stem}](plugins/{path.name})" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize(
    "path",
    [*PLUGINS, *(DOCS / "plugin-template").rglob("*.py"), *EXAMPLES.glob("*.py")],
    ids=lambda path: path.stem,
)
def test_only_the_api_is_imported(path: Path) -> None:
    allowed = {"mta.plugin"} | ({"mta.testing"} if path.name.startswith("test_") else set())
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module in allowed or not str(node.module).startswith("mta"), node.module
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("mta") for alias in node.names)


def test_they_load_together_in_an_installation(tmp_path: Path) -> None:
    assert haraka("-i", str(tmp_path)).returncode == 0
    for path in PLUGINS:
        shutil.copy(path, tmp_path / "plugins")
    names = [path.stem for path in PLUGINS]
    (tmp_path / "config" / "plugins").write_text("\n".join(names))
    (tmp_path / "config" / "recipients_in_sql.ini").write_text("database=mail.db\nquery=SELECT 1\n")
    result = haraka("-o", "-c", str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert all(f"\n{name} " in result.stdout for name in names)
    assert haraka("-h", "greylist", "-c", str(tmp_path)).stdout.startswith("greylist: Defer")
