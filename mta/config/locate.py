"""Where in a JSON, YAML or TOML file each value stands, and how it was written there; pure.

The parsers give values (`0123` is a number by then), an operator needs the line, and a password its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tomli
import yaml

Path = tuple[str, ...]
Places = dict[Path, tuple[str, int]]  # the path of keys and list indexes, to (text, line)


def locate(kind: str, text: str) -> Places:
    """Map the path of each value to its text ("" for dicts and lists) and line; empty when that cannot be found out."""
    if kind == "toml":
        return dict(_toml(text))
    try:
        # Every JSON text is YAML but for tabs between tokens.
        node = yaml.compose(text.replace("\t", " ") if kind == "json" else text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return {}
    return dict(_walk(node, ()))


def _walk(node: Any, path: Path) -> Iterator[tuple[Path, tuple[str, int]]]:
    """Walk the nodes; children of an alias are walked where they are used, not deeper than any file needs."""
    if node is None or len(path) > 8:
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*path, str(key.value))
            yield below, (value.value if isinstance(value, yaml.ScalarNode) else "", key.start_mark.line + 1)
            yield from _walk(value, below)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            below = (*path, str(index))
            yield (
                below,
                (value.value if isinstance(value, yaml.ScalarNode) else "", value.start_mark.line + 1),
            )
            yield from _walk(value, below)


def _toml(text: str) -> Iterator[tuple[Path, tuple[str, int]]]:
    """Tables and `key = value` lines, each read by itself; TOML numbers have no second reading, so no text."""
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            table = _toml_path(line) or table
            yield table, ("", number)
        elif "=" in line and (path := _toml_path(line.partition("=")[0] + "= 0")):
            yield table + path, ("", number)


def _toml_path(line: str) -> Path:
    """The keys that one line of TOML opens, () when it opens none."""
    try:
        tree: Any = tomli.loads(line)
    except tomli.TOMLDecodeError:
        return ()
    path: Path = ()
    while isinstance(tree, dict) and tree:
        key, tree = next(iter(tree.items()))
        path = (*path, key)
    return path
