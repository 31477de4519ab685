"""docs/Hooks.md is complete: no hook and no code is missing. That it is right is shown by test_hook_table_*.py."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from mta.plugin.hooks import HOOKS
from mta.plugin.verdict import Code
from tests.support.hook_table import CELLS, FAILING, FAILURES, HANGS, Cell, cells_of

EVERYWHERE = ("alone", '"words"', "DSN")
TAKES_SECONDS = ("send_email", "deferred")


def wanted() -> set[tuple[str, Code, str]]:
    found = set(product(HOOKS, Code, EVERYWHERE))
    return found | set(product(TAKES_SECONDS, Code, ["600"]))


def test_every_hook_and_every_code_has_its_row() -> None:
    listed = {(cell.hook, cell.code, cell.column) for cell in CELLS}
    assert sorted(wanted() - listed) == []
    assert sorted(listed - wanted()) == []


def test_every_hook_says_what_happens_when_a_plugin_fails() -> None:
    listed = [(failing.cell.hook, failing.how) for failing in FAILING]
    assert sorted(listed) == sorted(set(product(HOOKS, FAILURES)) - {("log", HANGS)})


def test_no_answer_has_two_rows() -> None:
    assert [key for key, count in Counter(map(str, CELLS)).items() if count > 1] == []


def test_every_row_says_something() -> None:
    assert [str(cell) for cell in CELLS if not cell.effect] == []


def test_a_missing_row_is_missed() -> None:
    page = "### mail\n| answer | alone | then |\n|---|---|---|\n| CONT OK | `250 x` | goes on |\n| DENY | `550` | no mail |\n"
    assert list(cells_of(page)) == [
        Cell("mail", "", Code.CONT, "alone", "250 x", "goes on"),
        Cell("mail", "", Code.OK, "alone", "250 x", "goes on"),
        Cell("mail", "", Code.DENY, "alone", "550", "no mail"),
    ]
    with pytest.raises(KeyError):
        list(cells_of(page.replace("DENY", "DENIED")))
    with pytest.raises(ValueError, match="zip"):
        list(cells_of(page.replace("| no mail |", "|")))
