"""docs/Hooks.md as a table: which hook does what with which answer. The tests of hooks take their rows from there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from mta.paths import DOCS
from mta.plugin.verdict import Code
from mta.smtp.dsn import DSN

PAGE = DOCS / "Hooks.md"

WORDS = "words"
MESSAGES: dict[str, object] = {
    "alone": None,
    '"words"': WORDS,
    "DSN": DSN.no_such_user(WORDS),
    "600": 600,
}
"""By the name of the column: what comes with the code."""
SAME = "same"


@dataclass(frozen=True)
class Cell:
    """One answer at one hook, and what it does. case: who asks, where a hook has several tables."""

    hook: str
    case: str
    code: Code
    column: str
    effect: str
    then: str = ""

    @property
    def answer(self) -> object:
        """What the plugin returns."""
        message = MESSAGES[self.column]
        return self.code if message is None else (self.code, message)

    def __str__(self) -> str:
        return "-".join(part for part in (self.hook, self.case, self.code.name, self.column) if part)


def cells_of(page: str) -> Iterator[Cell]:
    """Every cell of every table below a heading that names a hook. Raises ValueError for one that can't be read."""
    for section in re.split(r"^##+ ", page, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        hook, _, case = heading.partition(", ")
        header, *rows = _table(body) or [[]]
        if header[:1] == ["answer"]:
            for row in rows:
                yield from _cells(hook, case, header, row)


def _table(text: str) -> list[list[str]]:
    """The first table: its header and its rows."""
    lines = re.search(r"(^\|.*\n)+", text, re.MULTILINE)
    if lines is None:
        return []
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines[0].splitlines()]
    return [rows[0], *rows[2:]]


def _cells(hook: str, case: str, header: list[str], row: list[str]) -> Iterator[Cell]:
    named = dict(zip(header, row, strict=True))
    then = named.pop("then", "")
    answers = named.pop("answer").split()
    effect = ""
    for column, text in named.items():
        effect = effect if text == SAME else text.strip("`")
        for answer in answers:
            yield Cell(hook, case, Code[answer], column, effect, then)


_TEXT = PAGE.read_text(encoding="utf-8")
CELLS = tuple(cells_of(_TEXT))

RAISES, HANGS = "raises", "takes too long"
FAILURES = (RAISES, HANGS)


@dataclass(frozen=True)
class Failing:
    """A hook where a plugin fails, and the cell that says what happens then; its text is the server's."""

    how: str
    cell: Cell

    def __str__(self) -> str:
        return f"{self.cell.hook}-{self.how}"


def failures_of(page: str, cells: Sequence[Cell]) -> Iterator[Failing]:
    """What `When a plugin fails` says, by hook and kind of failure."""
    header, *rows = _table(page.partition("## When a plugin fails")[2])
    for hooks, *answers in rows:
        for hook, (how, answer) in product(hooks.split(), zip(header[1:], answers, strict=True)):
            if answer != "no timeout":
                yield Failing(how, _as(answer, hook, cells))


def _as(answer: str, hook: str, cells: Sequence[Cell]) -> Cell:
    """The cell of `CODE` or `CODE "text"`."""
    code, _, text = answer.partition(" ")
    column = '"words"' if text else "alone"
    (cell,) = (c for c in cells if (c.hook, c.case, c.code.name, c.column) == (hook, "", code, column))
    return replace(cell, effect=cell.effect.replace(WORDS, text.strip('"')))


FAILING = tuple(failures_of(_TEXT, CELLS))


def place_of(hook: str) -> str:
    """Which tests play the rows of a hook: test_hook_table_session, _outbound or _process."""
    if hook in ("send_email", "get_mx", "deferred", "bounce", "delivered"):
        return "outbound"
    return "process" if hook.startswith("init_") or hook == "log" else "session"
