"""Load the plugins that config/plugins names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mta.config.schema import PLUGIN_TIMEOUT
from mta.paths import PLUGINS
from mta.plugin.built_in import without_built_in
from mta.plugin.check import check_names, check_shapes
from mta.plugin.errors import PluginError
from mta.plugin.find import find_plugin, place_of
from mta.plugin.hooks import Plugin
from mta.plugin.names import successor, without_prefix

if TYPE_CHECKING:
    from mta.config import Config
    from mta.logger import Logger
    from mta.plugin.server import Server

ORIGIN = "plugins"


def load_plugins(
    names: Iterable[str],
    config: Config,
    logger: Logger,
    server: Server,
    search: Sequence[Path],
    ignore_bad: bool = False,
    bundled: Path = PLUGINS,
) -> list[Plugin]:
    """Load and register plugins in the order of `names`.

    `search` is the installation's own directories; installed packages come after them, `bundled` last. Raises
    PluginError, one clear line, for the first plugin that can not be loaded; with `ignore_bad` it is logged at CRIT
    and left out.
    """
    loader = _Loader(config, logger, server, search, bundled)
    loaded: dict[str, Plugin] = {}
    for name in current_names(without_built_in(names, logger), logger):
        try:
            loaded[name] = loader.load(name)
        except PluginError as error:
            message = f"Loading plugin {name} failed: {error}"
            if not ignore_bad:
                raise PluginError(message) from error
            logger.crit(message, origin=ORIGIN)
    return list(loaded.values())


def current_names(names: Iterable[str], logger: Logger) -> list[str]:
    """The names to load, each once: without npm's prefix, deprecated ones replaced with a notice."""
    current: dict[str, None] = {}
    for listed in map(without_prefix, names):
        name = successor(listed) or listed
        if name != listed:
            logger.notice(
                f"{listed} has been replaced by '{name}'. Please update config/plugins", origin=ORIGIN
            )
        elif name in current:
            logger.notice(f"{name} is listed twice in config/plugins, it is loaded once", origin=ORIGIN)
        current[name] = None
    return list(current)


@dataclass(frozen=True, slots=True)
class _Loader:
    config: Config
    logger: Logger
    server: Server
    search: Sequence[Path]
    bundled: Path

    def load(self, name: str) -> Plugin:
        found = find_plugin(name, self.search, self.bundled)
        plugin = _make(found.import_class(), found.where)
        plugin.name = name
        set_up(plugin, self.config.for_plugin(found.defaults), self.logger, self.server, found.where)
        self.logger.info(f"loaded {name}", {"from": found.where}, origin=ORIGIN)
        return plugin


def set_up(plugin: Plugin, config: Config, logger: Logger, server: Server, where: str) -> None:
    """Give a plugin that has its name what it works with, and let it register. Raises PluginError; `where` is its place."""
    plugin.server = server
    plugin.logger = logger
    plugin.log_level = plugin.log_level  # what the class says, now that there is a logger to tell
    plugin.config = config
    plugin.timeout = timeout_of(plugin, config)
    _register(plugin, where)


def timeout_of(plugin: Plugin, config: Config) -> float:
    """Seconds: what `<name>.timeout` says, else what the plugin's class knows, else plugin_timeout."""
    fallback = plugin.timeout if plugin.timeout is not None else config.value(PLUGIN_TIMEOUT)
    return config.value(replace(PLUGIN_TIMEOUT, name=f"{plugin.name}.timeout", default=fallback))


def _make(plugin_class: type[Plugin], where: str) -> Plugin:
    try:
        return plugin_class()
    except Exception as error:
        raise PluginError(f"{place_of(error, where)}: {type(error).__name__}: {error}") from error


def _register(plugin: Plugin, where: str) -> None:
    check_names(plugin)
    try:
        plugin.register()
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"{place_of(error, where)}: {type(error).__name__}: {error}") from error
    check_shapes(plugin)
