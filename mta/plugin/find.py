"""Find the code of a plugin: in the installation, in an installed package, or among the bundled ones."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from mta.paths import PLUGINS
from mta.plugin.errors import PluginError
from mta.plugin.hooks import Plugin
from mta.plugin.names import is_plugin_name
from mta.plugin.packages import GROUP, offered
from mta.record import record

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NOT_FOUND = "No plugin with this name found"

_serial = count(1)


@record
class Places:
    """Where plugins are looked for: the directories `own`, then installed packages, then `bundled`."""

    own: tuple[Path, ...] = ()
    bundled: Path = PLUGINS

    def __str__(self) -> str:
        packages = f"installed packages (entry points {GROUP})"
        return ", ".join([*map(str, self.own), packages, str(self.bundled)])


@record
class Found:
    """A plugin's code before it is imported. file: its source; package: the Python package it belongs to, "" for none."""

    where: str
    file: Path
    package: str
    import_class: Callable[[], type[Plugin]]
    bundled: bool = False


def find_plugin(name: str, places: Places, passing: Container[str] = ()) -> Found:
    """The first plugin of that name whose `where` is not in `passing`. Raises PluginError when there is none."""
    if not is_plugin_name(name):
        raise PluginError(f"{name!r} is not a plugin name")
    for found in _all_of(name, places):
        if found.where not in passing:
            return found
    raise PluginError(f"{NOT_FOUND}, looked in {places}")


def _all_of(name: str, places: Places) -> Iterator[Found]:
    yield from _in_directories(name, places.own)
    yield from _in_packages(name)
    for found in _in_directories(name, [places.bundled]):
        yield replace(found, bundled=True)


def _in_directories(name: str, directories: Iterable[Path]) -> Iterator[Found]:
    for directory in directories:
        for path in _candidates(directory, name):
            if path.is_file():
                yield plugin_in(path)


def _candidates(directory: Path, name: str) -> Iterator[Path]:
    """`rcpt_to.in_host_list` is a file of that name, or one in a folder rcpt_to; either may be a package."""
    for spelling in dict.fromkeys((name, name.replace(".", "/"))):
        yield directory / f"{spelling}.py"
        yield directory / spelling / "__init__.py"


def plugin_in(path: Path) -> Found:
    """The plugin in this file, which is there."""
    package = path.parent.name if path.name == "__init__.py" else ""
    return Found(str(path), path, package, lambda: _only_plugin_of(_import_file(path), str(path)))


def _in_packages(name: str) -> Iterator[Found]:
    for point in offered(name):
        spec = _spec_of(point)
        file = Path(spec.origin) if spec is not None and spec.origin else Path(point.module)
        package = spec.parent or "" if spec is not None else ""
        yield Found(f"{point.value} (installed package)", file, package, partial(_load, point))


def _spec_of(point: EntryPoint) -> ModuleSpec | None:
    """Where the module is; a package around it that can not be imported is told when the plugin is."""
    try:
        return importlib.util.find_spec(point.module)
    except Exception:
        return None


def _load(point: EntryPoint) -> type[Plugin]:
    thing = _importing(point.load, point.value)
    if isinstance(thing, type) and issubclass(thing, Plugin):
        return thing
    if isinstance(thing, ModuleType):
        return _only_plugin_of(thing, point.value)
    raise PluginError(f"{point.value}: this is neither a Plugin subclass nor a module that holds one")


class _Source(SourceFileLoader):
    """Compiles what the file says now: Python's cache takes a file for unchanged that has its size and second of before."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _import_file(path: Path) -> ModuleType:
    """Import under a name used once, so that two servers in a process never share a plugin's module."""
    name = f"haraka_plugin_{next(_serial)}_{path.parent.name if path.stem == '__init__' else path.stem}"
    packages = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(
        name, path, loader=_Source(name, str(path)), submodule_search_locations=packages
    )
    assert spec is not None and spec.loader is not None  # the file is there and ends in .py
    loader, module = spec.loader, importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up there
    try:
        _importing(lambda: loader.exec_module(module), str(path))
    except PluginError:
        del sys.modules[name]
        raise
    return module


def _importing(load: Callable[[], object], where: str) -> object:
    try:
        return load()
    except SyntaxError as error:
        raise PluginError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except PluginError as error:
        raise PluginError(f"{place_of(error, where)}: {error}") from error
    except Exception as error:
        raise PluginError(f"{place_of(error, where)}: {type(error).__name__}: {error}") from error


def place_of(error: BaseException, where: str) -> str:
    """`file:line` of the innermost frame of the plugin at `where`, or just `where` when it is not on the way."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
    return f"{where}:{lines[-1]}" if lines else where


def _only_plugin_of(module: ModuleType, where: str) -> type[Plugin]:
    classes: list[type[Plugin]] = [thing for thing in vars(module).values() if _is_plugin_of(module, thing)]
    last = [one for one in dict.fromkeys(classes) if not any(_is_base(one, other) for other in classes)]
    if len(last) != 1:
        names = ", ".join(found.__name__ for found in last) or "none"
        raise PluginError(f"{where}: a plugin file holds exactly one Plugin subclass, this one has {names}")
    return last[0]


def _is_plugin_of(module: ModuleType, thing: object) -> bool:
    """Only classes written there count, not a base class that was imported."""
    if not (isinstance(thing, type) and issubclass(thing, Plugin)):
        return False
    return thing.__module__ == module.__name__ or thing.__module__.startswith(f"{module.__name__}.")


def _is_base(one: type[Plugin], other: type[Plugin]) -> bool:
    """A class that another one in the file derives from is not the plugin, but a part of it."""
    return other is not one and issubclass(other, one)
