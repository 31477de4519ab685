"""The pages about the objects that plugins meet name what there is."""

import re

import pytest

from mta.message.body import Body
from mta.message.header import Header
from mta.message.stream import Form, MessageStream
from mta.notes import Notes
from mta.paths import DOCS
from mta.results import Results
from mta.transaction import Transaction

PAGES = {"Transaction": Transaction, "Header": Header, "Body": Body, "Results": Results, "Notes": Notes}


def names_in_tables(page: str) -> set[str]:
    """The names at the beginning of table rows: `name`, `name()` or `name(args)`."""
    rows = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)(?:\([^`]*\))?`", row)}


@pytest.mark.parametrize("name", ["Transaction", "Header", "Body", "Results"])
def test_every_name_in_a_table_exists(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    found = names_in_tables(page)
    assert len(found) > 5
    known = {*dir(PAGES[name]), *dir(MessageStream), *Form.__annotations__}
    assert found <= known, found - known


@pytest.mark.parametrize(("name", "cls"), [("Header", Header), ("Body", Body), ("Results", Results)])
def test_every_public_name_is_on_its_page(name: str, cls: type) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    internal = {"start", "end", "header_start", "parent_type", "utf8"}
    missing = {n for n in dir(cls) if not n.startswith("_") and f"`{n}" not in page} - internal
    assert not missing


def test_every_page_is_linked() -> None:
    plugins = (DOCS / "Plugins.md").read_text(encoding="utf-8")
    assert all(f"({name}.md)" in plugins for name in PAGES)
