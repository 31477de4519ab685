"""From the text of a JSON, YAML or TOML file to dicts and lists; pure."""

from __future__ import annotations

import json
import re
from typing import Any

import tomli
import yaml

from mta.config.ini import unsafe
from mta.config.problem import ParseError, Problem


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
