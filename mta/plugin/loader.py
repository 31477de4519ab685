"""Load the plugins that config/plugins names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mta.config.alias import Alias
from mta.config.schema import PLUGIN_TIMEOUT
from mta.paths import PLUGINS
from mta.plugin.built_in import without_built_in
from mta.plugin.check import check_names, check_shapes
from mta.plugin.errors import PluginError
from mta.plugin.find import Found, Places, find_plugin, place_of
from mta.plugin.hooks import Plugin
from mta.plugin.inherit import import_class
from mta.plugin.names import Listed, is_plugin_name, read_line, replaced
from mta.plugin.resources import config_directories
from mta.record import record

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
    for listed in current_names(without_built_in(names, logger), logger):
        try:
            loaded[listed.name] = loader.load(listed)
        except PluginError as error:
            message = f"Loading plugin {listed} failed: {error}"
            if not ignore_bad:
                raise PluginError(message) from error
            logger.crit(message, origin=ORIGIN)
    return list(loaded.values())


def current_names(lines: Iterable[str], logger: Logger) -> list[Listed]:
    """What to load, each name once: without npm's prefix, deprecated names replaced with a notice."""
    current: dict[str, Listed] = {}
    for line in lines:
        listed = read_line(line)
        if (old := replaced(line)) is not None:
            logger.notice(
                f"{old} has been replaced by '{listed.base}'. Please update config/plugins", origin=ORIGIN
            )
        elif listed.name in current:
            logger.notice(
                f"{listed.name} is listed twice in config/plugins, it is loaded once", origin=ORIGIN
            )
        current.setdefault(listed.name, listed)
    return list(current.values())


@record
class _Loader:
    config: Config
    logger: Logger
    server: Server
    search: Sequence[Path]
    bundled: Path

    def load(self, listed: Listed) -> Plugin:
        if not is_plugin_name(listed.name):
            raise PluginError(f"{listed.name!r} is not a plugin name")
        places = Places(tuple(self.search), self.bundled)
        found = find_plugin(listed.base, places)
        plugin = load_found(found, listed, places, self.config, self.logger, self.server)
        self.logger.info(f"loaded {listed}", {"from": found.where}, origin=ORIGIN)
        return plugin


def load_found(
    found: Found, listed: Listed, places: Places, config: Config, logger: Logger, server: Server
) -> Plugin:
    """Import, make and register a plugin; its bases are looked for in `places`. Raises PluginError."""
    plugin = _make(import_class(found, places), found.where)
    plugin.name = listed.name
    alias = Alias(*listed) if listed.name != listed.base else None
    set_up(plugin, config, logger, server, found.where, alias)
    return plugin


def set_up(
    plugin: Plugin,
    config: Config,
    logger: Logger,
    server: Server,
    where: str,
    alias: Alias | None = None,
) -> None:
    """Give a plugin that has its name what it works with, and let it register. Raises PluginError; `where` is its place."""
    plugin.server = server
    plugin.logger = logger
    plugin.log_level = plugin.log_level  # what the class says, now that there is a logger to tell
    plugin.config = config.for_plugin(*config_directories(type(plugin)), alias=alias)
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
