"""docs/Hooks.md as a table: which hook does what with which answer. The tests of hooks take their rows from there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

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


CELLS = tuple(cells_of(PAGE.read_text(encoding="utf-8")))
