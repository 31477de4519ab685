"""From the bytes of a file to what it says, by its type; pure."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import tomli
import yaml

from mta.config.ini import Entry, parse_ini, unsafe
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


def parse_tree(kind: str, text: str, file: str) -> tuple[Any, list[Problem]]:
    """Read JSON, YAML or TOML without the keys that are not safe."""
    problems: list[Problem] = []
    try:
        tree = _load(kind, text)
        return _without_unsafe({} if tree is None else tree, file, problems), problems
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ParseError(Problem(file, f"not valid YAML: {error.problem}", line, fatal=True)) from None
    except json.JSONDecodeError as error:
        raise ParseError(Problem(file, f"not valid JSON: {error.msg}", error.lineno, fatal=True)) from None
    except tomli.TOMLDecodeError as error:
        raise ParseError(_toml_problem(str(error), file)) from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        message = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise ParseError(Problem(file, f"not valid {kind.upper()}: {message}", fatal=True)) from None
    except (LookupError, TypeError, AttributeError):  # PyYAML's own, for `!!bool maybe` and the like
        message = "a value does not fit its tag"
        raise ParseError(Problem(file, f"not valid {kind.upper()}: {message}", fatal=True)) from None


def _load(kind: str, text: str) -> Any:
    if kind == "json":
        return json.loads(text) if text.strip() else {}
    return yaml.safe_load(text) if kind == "yaml" else tomli.loads(text)


def _toml_problem(message: str, file: str) -> Problem:
    found = re.search(r" \(at line (\d+), column \d+\)$", message)
    line = int(found[1]) if found else 0
    return Problem(
        file, f"not valid TOML: {message[: found.start()] if found else message}", line, fatal=True
    )


def _without_unsafe(tree: Any, file: str, problems: list[Problem]) -> Any:
    if isinstance(tree, list):
        return [_without_unsafe(item, file, problems) for item in tree]
    if not isinstance(tree, dict):
        return tree
    safe = {}
    for key, value in tree.items():
        if unsafe(str(key)):
            problems.append(Problem(file, "unsafe key, ignored", key=str(key)))
        else:
            safe[str(key)] = _without_unsafe(value, file, problems)
    return safe
