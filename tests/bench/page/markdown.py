"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """The first column is text, the others are figures and stand to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "".join("| " + " | ".join(map(cell, row)) + " |\n" for row in (head, rule, *rows))


def cell(text: str) -> str:
    """Text that cannot leave its cell, or become markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def bullets(lines: Iterable[str]) -> str:
    return "".join(f"* {cell(line)}\n" for line in lines)


def paragraphs(*parts: str) -> str:
    """Parts with an empty line between them; those that are empty are left out."""
    return "\n".join(part if part.endswith("\n") else part + "\n" for part in parts if part)
