"""Plugins for a test: named as in config/plugins, by their file, as a class, or made already."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias, TypeVar

from mta import paths
from mta.config import Config, ConfigError, Problem
from mta.logger import DEBUG, WARN, Logger
from mta.plugin.errors import PluginError
from mta.plugin.find import Found, Places, find_plugin, plugin_in
from mta.plugin.hooks import Plugin
from mta.plugin.loader import load_found, set_up
from mta.plugin.names import Listed, read_line
from mta.plugin.server import Server

P = TypeVar("P", bound=Plugin)

Loadable: TypeAlias = "str | Path | type[Plugin] | Plugin"
Files: TypeAlias = "Mapping[str, str | bytes]"
PLUGINS = "plugins"
WITH_SLASH = ("auth", "queue")  # as Haraka writes them in config/plugins


def load(plugin: Loadable, config: Config, logger: Logger, server: Server, search: Sequence[Path]) -> Plugin:
    """Load and register one plugin. Raises PluginError."""
    if isinstance(plugin, Plugin):
        plugin.name = plugin.name or name_of(type(plugin))
        return _prepared(plugin, config, logger, server)
    if isinstance(plugin, type):
        made = plugin()
        made.name = made.name or name_of(plugin)
        return _prepared(made, config, logger, server)
    places = Places(tuple(search))
    listed, found = _find(plugin, places)
    return load_found(found, listed, places, config, logger, server)


def _prepared(plugin: Plugin, config: Config, logger: Logger, server: Server) -> Plugin:
    module = sys.modules.get(type(plugin).__module__)
    set_up(plugin, config, logger, server, getattr(module, "__file__", None) or type(plugin).__module__)
    return plugin


def _find(plugin: str | Path, places: Places) -> tuple[Listed, Found]:
    if isinstance(plugin, str) and not plugin.endswith(".py"):
        listed = read_line(plugin)
        return listed, find_plugin(listed.base, places)
    path = Path(plugin).absolute()
    if not path.is_file():
        raise PluginError(f"there is no file {path}")
    name = _name_of_file(path)
    return Listed(name, name), plugin_in(path)


def _name_of_file(path: Path) -> str:
    """`plugins/rcpt_to/mine.py` is rcpt_to.mine, other files have the name of the file."""
    parts = path.with_suffix("").parts if path.name != "__init__.py" else path.parent.parts
    if PLUGINS not in parts[:-1]:
        return parts[-1]
    folder, *rest = parts[len(parts) - parts[::-1].index(PLUGINS) :]
    return ("/" if folder in WITH_SLASH else ".").join([folder, *rest])


def name_of(plugin: type[Plugin]) -> str:
    """The name of a plugin that is given as a class: GreyList is grey_list."""
    return plugin.name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plugin.__name__).lower()


def write_files(directory: Path, files: Files) -> None:
    """Put files into a directory, with the folders that they need."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def open_config(directory: Path, logger: Logger) -> Config:
    """The configuration in directory/config over the shipped one. What is fatal to a server raises ConfigError."""

    def notice(problem: Problem) -> None:
        if problem.fatal:
            raise ConfigError(str(problem))
        logger.log(WARN, str(problem), origin="config")

    return Config(directory, paths.ETC, notice)


def make_plugin(
    plugin: type[P] | P | str | Path,
    config: Files | None = None,
    *,
    search: Sequence[Path] = (),
    logger: Logger | None = None,
) -> P | Plugin:
    """One plugin, loaded and registered with these configuration files, to call its methods; no server around it.

    Its directory is removed with it. Raises PluginError, ConfigError.
    """
    directory = Path(tempfile.mkdtemp(prefix="haraka-test-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        write_files(directory / "config", config or {})
        log = logger or Logger(DEBUG)
        made = load(plugin, open_config(directory, log), log, Server(), search)
        stack.pop_all()
    weakref.finalize(made, shutil.rmtree, directory, ignore_errors=True)
    return made
