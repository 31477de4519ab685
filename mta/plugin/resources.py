"""What a plugin brings besides its code: default configuration and documentation, in folders beside it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mta.plugin.find import Found
from mta.plugin.hooks import Plugin


def config_directories(plugin_class: type[Plugin]) -> list[Path]:
    """The directories with default configuration of a class and of those it derives from, the lowest first."""
    found: dict[Path, None] = {}
    for base in reversed(plugin_class.__mro__):
        if issubclass(base, Plugin) and not _is_ours(base.__module__):
            found.update(dict.fromkeys(_config_of(base)))
    return list(found)


def page_of(found: Found, name: str) -> Path | None:
    """The page of documentation that came with a plugin; `docs/a.b.md` or `docs/a/b.md` for `a.b`."""
    for folder in _folders(found.file, found.package):
        for page in dict.fromkeys((name, name.replace(".", "/", 1))):
            path = folder / "docs" / f"{page}.md"
            if path.is_file():
                return path
    return None


def description_of(found: Found) -> str:
    """What the plugin's file says about itself at its top; "" when it says nothing. The file is not imported."""
    try:
        return ast.get_docstring(ast.parse(found.file.read_bytes())) or ""
    except (OSError, SyntaxError, ValueError):
        return ""


def _is_ours(module: str) -> bool:
    return module == "mta" or module.startswith("mta.")


def _config_of(plugin_class: type[Plugin]) -> Iterable[Path]:
    """The nearest folder called config in the package of the class; one with Python code is something else."""
    module = sys.modules.get(plugin_class.__module__)
    file = getattr(module, "__file__", None)
    for folder in _folders(Path(file), module.__package__ or "") if module and file else ():
        if (folder / "config").is_dir() and not (folder / "config" / "__init__.py").exists():
            return [folder / "config"]
    return []


def _folders(file: Path, package: str) -> Iterator[Path]:
    """The folders of the package that a file belongs to, from the inside to the top; none for a file by itself.

    A folder without __init__.py belongs to nobody: it may be the directory of an installation.
    """
    folder = file.parent
    for _ in package.split(".") if package else ():
        if not (folder / "__init__.py").is_file():
            return
        yield folder
        folder = folder.parent
