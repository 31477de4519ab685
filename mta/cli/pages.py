"""Where a page of documentation is, for `haraka -h NAME`."""

from __future__ import annotations

from pathlib import Path

from mta import paths
from mta.cli.errors import CommandError
from mta.plugin.errors import PluginError
from mta.plugin.find import Found, Places, find_plugin
from mta.plugin.resources import description_of, page_of


def find_page(name: str, directory: Path | None) -> Path | str:
    """The page called `name`: of the installation, of a plugin that it or a package brings, of the shipped docs.

    A plugin without a page is told by the text at the top of its file. Raises CommandError when nothing is found.
    """
    if directory and (page := _page_in(directory / "docs", name)):
        return page
    plugin = _plugin(name, directory)
    if plugin is not None and not plugin.bundled and (own := _of_plugin(plugin, name)):
        return own
    if shipped := _page_in(paths.DOCS, name):
        return shipped
    if plugin is not None and (own := _of_plugin(plugin, name)):
        return own
    raise CommandError(f"no documentation found for {name}")


def _plugin(name: str, directory: Path | None) -> Found | None:
    own = (directory / "plugins",) if directory else ()
    try:
        return find_plugin(name, Places(own))
    except PluginError:
        return None


def _of_plugin(plugin: Found, name: str) -> Path | str:
    if page := page_of(plugin, name):
        return page
    text = description_of(plugin)
    return text and f"{name}: {text}"


def _page_in(place: Path, name: str) -> Path | None:
    """A plugin's page may be called `a.b` or lie at `a/b`."""
    for page in (name, f"plugins/{name}", f"plugins/{name.replace('.', '/', 1)}"):
        found = place / f"{page}.md"
        if found.is_file() and found.resolve().is_relative_to(place.resolve()):
            return found
    return None
