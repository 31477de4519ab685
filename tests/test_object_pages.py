"""The pages about the objects that plugins meet name what there is."""

import re

import pytest

from mta.message.body import Body
from mta.message.header import Header
from mta.message.stream import Form, MessageStream
from mta.notes import Notes
from mta.outbound.hmail import HMail
from mta.outbound.todo import Todo
from mta.paths import DOCS
from mta.plugin.outcome import Deferral, Failure, Receipt
from mta.results import Results
from mta.transaction import Transaction

PAGES = {
    "Transaction": Transaction,
    "Header": Header,
    "Body": Body,
    "Results": Results,
    "Notes": Notes,
    "HMail": HMail,
}
# What a page describes besides its object.
BESIDES = {
    "Transaction": {*dir(MessageStream), *Form.__annotations__},
    "HMail": {*dir(Todo), *dir(Deferral), *dir(Failure), *dir(Receipt)},
}


def names_in_tables(page: str) -> set[str]:
    """The names at the beginning of table rows: `name`, `name()` or `name(args)`."""
    rows = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)(?:\([^`]*\))?`", row)}


@pytest.mark.parametrize("name", ["Transaction", "Header", "Body", "Results", "HMail"])
def test_every_name_in_a_table_exists(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    found = names_in_tables(page)
    assert len(found) > 5
    known = {*dir(PAGES[name]), *BESIDES.get(name, ())}
    assert found <= known, found - known


@pytest.mark.parametrize("cls", [Header, Body, Results, HMail, Deferral, Failure, Receipt])
def test_every_public_name_is_on_its_page(cls: type) -> None:
    name = cls.__name__ if cls.__name__ in PAGES else "HMail"
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    internal = {"start", "end", "header_start", "parent_type", "utf8", "logger", "name", "stale"}
    missing = {n for n in dir(cls) if not n.startswith("_") and f"`{n}" not in page} - internal
    assert not missing


def test_every_page_is_linked() -> None:
    plugins = (DOCS / "Plugins.md").read_text(encoding="utf-8")
    assert all(f"({name}.md)" in plugins for name in PAGES)
