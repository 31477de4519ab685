"""Derive a plugin from another one that is no importable module: a file in plugins/, or a bundled plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from mta.plugin.find import Found, Places, find_plugin
from mta.plugin.hooks import Plugin
from mta.record import record


@record
class _Import:
    """What is being imported: where its bases are looked for, and which files are on the way already."""

    places: Places
    under_way: tuple[str, ...] = ()


_OUTSIDE = _Import(Places())
_current: ContextVar[_Import] = ContextVar("_current", default=_OUTSIDE)


def plugin_class(name: str) -> type[Plugin]:
    """The class of the plugin called `name` in config/plugins, to derive from.

    It is looked for as the server does it, for the installation that the plugin is being loaded for; elsewhere, for
    example in a test that imports the file, among installed packages and the bundled plugins. A plugin that has the
    name itself is passed over, so a file `plugins/relay.py` can derive from the bundled relay.
    Each call imports the file anew. Raises PluginError when there is no such plugin or it can not be imported.
    """
    importing = _current.get()
    found = find_plugin(name, importing.places, importing.under_way)
    return import_class(found, importing.places)


def import_class(found: Found, places: Places) -> type[Plugin]:
    """Import a plugin; its bases are looked for in `places`. Raises PluginError."""
    with _importing(found, places):
        return found.import_class()


@contextmanager
def _importing(found: Found, places: Places) -> Iterator[None]:
    before = _current.get()
    token = _current.set(replace(before, places=places, under_way=(*before.under_way, found.where)))
    try:
        yield
    finally:
        _current.reset(token)
