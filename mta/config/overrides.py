"""The whole configuration in one file: smtp.json, smtp.yaml or smtp.toml, whose keys `!name` stand for files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mta.config.formats import TREES, type_of
from mta.config.ini import Entry, Sections
from mta.config.problem import Problem

if TYPE_CHECKING:
    from mta.config.locate import Path, Places

NAMES = ("smtp.json", "smtp.yaml", "smtp.toml")

Files = dict[str, tuple[str, Any]]  # the name of the file that is replaced, to its type and content


def parse_overrides(kind: str, text: str, file: str) -> tuple[Files, list[Problem]]:
    """Read the files that this one replaces, each in the form that formats.parse gives.

    Raises ParseError when the whole cannot be read; keys and values that make no sense are left out and named.
    """
    from mta.config.locate import locate  # with its parsers, which most installations never need
    from mta.config.trees import parse_tree

    tree, problems = parse_tree(kind, text, file)
    places = locate(kind, text)
    files: Files = {}
    if not isinstance(tree, dict):
        return {}, [
            *problems,
            Problem(file, "not a set of keys", allowed='"!smtp.ini" and other names', fatal=True),
        ]
    for key, value in tree.items():
        line = places.get((key,), ("", 0))[1]
        if not key.startswith("!"):
            problems.append(
                Problem(file, "ignored", line, key=key, allowed='names with a "!", such as "!smtp.ini"')
            )
            continue
        name = key[1:]
        problem = _replace(files, name, value, _Source(file, key, places))
        if problem:
            problems.append(problem)
    return files, problems


class _Source:
    """Where one `!name` stands, to make entries that know their line and text."""

    def __init__(self, file: str, top: str, places: Places) -> None:
        self.file = file
        self.top = top
        self.places = places

    def line(self, path: Path = ()) -> int:
        return self.places.get((self.top, *path), ("", 0))[1]

    def text(self, path: Path, value: Any) -> str:
        """How the value is written in the file, or failing that how it would be."""
        written = self.places.get((self.top, *path), ("", 0))[0]
        if isinstance(value, bool):
            return written or str(value).lower()
        return written or (value if isinstance(value, str) else json.dumps(value, default=str))

    def element(self, index: int, value: Any) -> Entry:
        """One line of a list."""
        return Entry(self.text((str(index),), value), self.file, self.line((str(index),)))

    def entry(self, path: Path, value: Any) -> Entry:
        if value is None:
            return Entry(None, self.file, self.line(path))
        if isinstance(value, list):
            texts = [self.text((*path, str(index)), item) for index, item in enumerate(value)]
            return Entry(texts, self.file, self.line(path), value)
        return Entry(self.text(path, value), self.file, self.line(path), value)


def _replace(files: Files, name: str, value: Any, source: _Source) -> Problem | None:
    """Put the content of the file `name` into files, or say why that is impossible."""
    kind = type_of(name)
    if kind == "ini":
        if not isinstance(value, dict):
            return _problem(source, name, "sections with keys")
        files[name] = (kind, _sections(value, source))
    elif kind in TREES:
        files[name] = (kind, value)
    elif isinstance(value, list):
        # A name without extension is a list or a single value, as its reader says.
        files[name] = ("entries", [source.element(index, item) for index, item in enumerate(value)])
    elif isinstance(value, dict):
        return _problem(source, name, "a value or a list")
    else:
        files[name] = ("value", None if value is None else source.entry((), value))
    return None


def _problem(source: _Source, name: str, allowed: str) -> Problem:
    return Problem(source.file, "wrong shape, ignored", source.line(), key=f"!{name}", allowed=allowed)


def _sections(tree: dict[str, Any], source: _Source) -> Sections:
    """Sections of an ini file; keys that stand outside one belong to main, as in the ini file itself."""
    sections: Sections = {"main": {}}
    for name, value in tree.items():
        if isinstance(value, dict):
            keys = {key: source.entry((name, key), item) for key, item in value.items()}
            sections.setdefault(name, {}).update(keys)
        else:
            sections["main"][name] = source.entry((name,), value)
    return sections


def fits(kind: str, found: tuple[str, Any]) -> bool:
    """True when a reader of `kind` can make something of this override: sections and trees are not lines."""
    trees = ("ini", *TREES)
    return (
        found[0] == kind or (found[0] in TREES and kind in TREES) or not (found[0] in trees or kind in trees)
    )


def as_type(kind: str, found: tuple[str, Any]) -> Any:
    """The content of an override that fits, in the form in which a reader of `kind` wants it."""
    have, content = found
    if have == kind or kind in TREES:
        return content
    entries: list[Entry] = content if have == "entries" else _split(content)
    if kind == "entries":
        return entries
    if kind == "value":
        return entries[0] if entries else None
    lines = [str(entry.text) for entry in entries]
    return lines if kind in ("list", "data") else "\n".join(lines).encode()


def _split(value: Entry | None) -> list[Entry]:
    """The lines of a text that stands where a list may stand."""
    texts = str(value.text).split("\n") if value else []
    return [Entry(text, value.file, value.line) for text in texts if value]
