"""The grammar of ini files, Haraka's: sections, `key=value`, arrays `key[]=`, whole-line comments, `\\` continues."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from mta.config.kinds import TRUE
from mta.config.problem import Problem
from mta.record import record

_SECTION = re.compile(r"^\s*\[([^\]]*)\]\s*$")
_PARAM = re.compile(r"^\s*([\w@:._+\-/[\]]+)\s*(?:=\s*(.*?)\s*)?$")
_COMMENT = re.compile(r"^\s*[;#]")
_CONTINUES = re.compile(r"\\[ \t]*$")
_INTEGER = re.compile(r"-?[0-9]+\Z")
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]+\Z")


@record
class Entry:
    """One key as it was written: `text` is None for a key without `=`, a list for `key[]`.

    `native` is what a JSON, YAML or TOML file says the value is; None for ini files, whose text is coerced.
    """

    text: str | list[str] | None
    file: str
    line: int = 0
    native: Any = None


Sections = dict[str, dict[str, Entry]]


def unsafe(name: str) -> bool:
    """True for names that no section or key may have: they mean something to the language underneath."""
    return name in ("constructor", "prototype") or (name.startswith("__") and name.endswith("__"))


def parse_ini(text: str, file: str) -> tuple[Sections, list[Problem]]:
    """Read an ini file; lines that cannot be understood are left out and named in the problems."""
    sections: Sections = {"main": {}}
    problems: list[Problem] = []
    section = "main"
    for number, line in _logical_lines(text):
        if header := _SECTION.match(line):
            section = header[1].strip()
            problem = _open_section(sections, section, file, number)
        elif param := _PARAM.match(line):
            problem = _store(sections, section, param[1], param[2], Entry(None, file, number))
        else:
            problem = Problem(
                file, "invalid line", number, allowed="[section], key=value, ; comment", fatal=True
            )
        if problem:
            problems.append(problem)
    return sections, problems


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with the number of the first; a `\\` at the end appends the next of them."""
    start, held = 0, ""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if not line.strip() or _COMMENT.match(line):
            continue
        start = start if held else number
        if _CONTINUES.search(line):
            held += _CONTINUES.sub("", line)
            continue
        yield start, held + line
        held = ""
    if held:
        yield start, held


def _open_section(sections: Sections, name: str, file: str, line: int) -> Problem | None:
    if unsafe(name):
        sections.pop(name, None)
        return Problem(file, "unsafe section name, ignored", line, section=name)
    sections.setdefault(name, {})
    return None


def _store(sections: Sections, section: str, key: str, text: str | None, entry: Entry) -> Problem | None:
    name = key.removesuffix("[]")
    if unsafe(section):
        return None
    if unsafe(name):
        return Problem(entry.file, "unsafe key, ignored", entry.line, section, name)
    keys = sections[section]
    if key.endswith("[]"):
        before = keys.get(name)
        items = before.text if before and isinstance(before.text, list) else []
        keys[name] = Entry([*items, text or ""], entry.file, before.line if before else entry.line)
    else:
        keys[name] = Entry(text, entry.file, entry.line)
    return None


def merge_sections(below: Sections, above: Sections) -> Sections:
    """Lay one file over another key by key; arrays are replaced whole, a key without a value changes nothing."""
    merged = {name: dict(keys) for name, keys in below.items()}
    for name, keys in above.items():
        given = {key: entry for key, entry in keys.items() if entry.text is not None}
        merged[name] = {**keys, **merged.get(name, {}), **given}
    return merged


def coerce(text: str) -> str | int | float:
    """Text that looks like a number becomes one, the rest stays text."""
    if _INTEGER.match(text) and len(text) < 400:
        return int(text)
    return float(text) if _FLOAT.match(text) else text


@record
class Declared:
    """A key, or with `*` a key in any section, whose values are booleans or text."""

    section: str
    key: str
    default: bool = False


def declare(names: Collection[str]) -> list[Declared]:
    """Read Haraka's declarations: `[+|-][section.]key`, `*.key` for any section; `+` means true when not written."""
    return [_declare(name) for name in names]


def _declare(name: str) -> Declared:
    section, dot, key = name.partition(".")
    if not dot:
        section, key = (
            ("-" if section.startswith("-") else "+" if section.startswith("+") else "") + "main",
            section,
        )
    default = section.startswith("+") or key.startswith("+")
    return Declared(section.lstrip("+-"), key.lstrip("+-"), default)


def to_values(sections: Sections, booleans: list[Declared], texts: list[Declared]) -> dict[str, Any]:
    """The plain dict that a plugin gets: numbers coerced, declared booleans always there, declared text untouched."""
    values: dict[str, Any] = {}
    for name, keys in sections.items():
        values[name] = {key: _value(name, key, entry, booleans, texts) for key, entry in keys.items()}
    for each in booleans:
        if each.section != "*":
            values.setdefault(each.section, {}).setdefault(each.key, each.default)
    return values


def _value(section: str, key: str, entry: Entry, booleans: list[Declared], texts: list[Declared]) -> Any:
    if _is_declared(booleans, section, key):
        return isinstance(entry.text, str) and entry.text.lower() in TRUE
    if _is_declared(texts, section, key) or entry.text is None:
        return entry.text
    if entry.native is not None:
        return entry.native
    if isinstance(entry.text, list):
        return [coerce(item) for item in entry.text]
    return coerce(entry.text)


def _is_declared(names: list[Declared], section: str, key: str) -> bool:
    return any(each.key == key and each.section in ("*", section) for each in names)
