"""docs/Tutorial.md works: every listing is written, every command is run, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.paths import DOCS
from tests.support.tutorial import Block, Reader, agrees, blocks_of, commands_of

PAGE = (DOCS / "Tutorial.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(600)  # it starts a dozen processes
def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    blocks = list(blocks_of(PAGE))
    assert len(blocks) > 15
    with Reader(tmp_path) as reader:
        for block in blocks:
            reader.follow(block)


def test_the_last_listing_is_clean_for_a_type_checker(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    listing = [block for block in blocks_of(PAGE) if block.file == "mail/plugins/greylist.py"][-1]
    path = tmp_path / "greylist.py"
    path.write_text(listing.text)
    assert api.run(["--strict", str(path)])[2] == 0


def test_what_the_reader_compares() -> None:
    assert agrees("a\n...\nb\n", "a\nmore\nb\n") and agrees("...b c", "x b c")
    assert not agrees("a\n", "a\nb\n") and not agrees("a\n...\nc\n", "a\nb\n")


def test_a_command_that_prints_something_else_is_noticed(tmp_path: Path) -> None:
    block = Block("console", "$ echo one\none\n$ echo two\nthree\n", "", 1)
    assert [command for command, _ in commands_of(block)] == ["echo one", "echo two"]
    with pytest.raises(AssertionError, match="two"):
        Reader(tmp_path).follow(block)
