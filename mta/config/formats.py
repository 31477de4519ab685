"""From the bytes of a file to what it says, by its type; pure."""

from __future__ import annotations

import os
import re
from typing import Any

from mta.config.ini import Entry, parse_ini
from mta.config.problem import ConfigError, ParseError, Problem

TYPES = ("value", "list", "data", "ini", "json", "yaml", "toml", "binary")
TREES = ("json", "yaml", "toml")
_BY_EXTENSION = {"yml": "yaml", "pem": "binary", "bin": "binary"} | {name: name for name in TYPES}
_NOT_AN_ENTRY = re.compile(r"^\s*([;#].*)?$")


def type_of(name: str, wanted: str | None = None) -> str:
    """The type that was asked for, or the one that the name's extension stands for; `value` when it has none.

    Raises ConfigError for a type that does not exist.
    """
    if wanted is None:
        return _BY_EXTENSION.get(os.path.splitext(name)[1][1:].lower(), "value")
    if wanted not in TYPES:
        raise ConfigError(f"unknown config type: {wanted}; allowed: {', '.join(TYPES)}")
    return wanted


def parse(kind: str, raw: bytes, file: str) -> tuple[Any, list[Problem]]:
    """What the file says, and lines of it that were left out.

    value: Entry | None, not coerced yet; list and data: list of str; entries: the list as Entry, for those who want to
    know the lines; ini: Sections; json, yaml, toml: dicts and lists; binary: bytes. Raises ParseError when the file as a whole cannot be understood.
    """
    if kind == "binary":
        return raw, []
    text = _decode(raw, file)
    if kind == "ini":
        return parse_ini(text, file)
    if kind in TREES:
        # Only for who has such files: their parsers are 6 % of a start.
        from mta.config.trees import parse_tree

        return parse_tree(kind, text, file)
    lines = _lines(text)
    if kind == "data":
        return lines, []
    numbered = [(n, line.strip()) for n, line in enumerate(lines, 1) if not _NOT_AN_ENTRY.match(line)]
    if kind == "list":
        return [entry for _, entry in numbered], []
    if kind == "entries":
        return [Entry(entry, file, number) for number, entry in numbered], []
    return (Entry(numbered[0][1], file, numbered[0][0]) if numbered else None), []


def merge_trees(below: Any, above: Any) -> Any:
    """Lay one tree over another: keys one by one, a null changes nothing, everything else is replaced whole."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return below if above is None else above
    return {**below, **{key: merge_trees(below.get(key), value) for key, value in above.items()}}


def _decode(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ParseError(Problem(file, "this line is not UTF-8 text", line, fatal=True)) from None


def _lines(text: str) -> list[str]:
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines
