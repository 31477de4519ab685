"""The examples are short, use the API alone, and have a test and a line in the README each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mta.paths import DOCS

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
