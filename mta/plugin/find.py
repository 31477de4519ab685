"""Find the code of a plugin: in the installation, in an installed package, or among the bundled ones."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from itertools import count
from pathlib import Path
from types import ModuleType

from mta.plugin.errors import PluginError
from mta.plugin.hooks import Plugin
from mta.plugin.names import is_plugin_name

GROUP = "haraka.plugins"
NOT_FOUND = "No plugin with this name found"

_serial = count(1)


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin's code before it is imported; `defaults` is the directory with its own configuration, if any."""

    where: str
    defaults: Path | None
    import_class: Callable[[], type[Plugin]]


def find_plugin(name: str, own: Sequence[Path], bundled: Path) -> Found:
    """Look in the directories `own`, then in installed packages, then in `bundled`. Raises PluginError."""
    if not is_plugin_name(name):
        raise PluginError(f"{name!r} is not a plugin name")
    found = _in_directories(name, own) or _in_packages(name) or _in_directories(name, [bundled])
    if found is None:
        places = [*map(str, own), f"installed packages (entry points {GROUP})", str(bundled)]
        raise PluginError(f"{NOT_FOUND}, looked in {', '.join(places)}")
    return found


def _in_directories(name: str, directories: Iterable[Path]) -> Found | None:
    for directory in directories:
        for path in _candidates(directory, name):
            if path.is_file():
                return plugin_in(path)
    return None


def _candidates(directory: Path, name: str) -> Iterator[Path]:
    """`rcpt_to.in_host_list` is a file of that name, or one in a folder rcpt_to; either may be a package."""
    for spelling in dict.fromkeys((name, name.replace(".", "/"))):
        yield directory / f"{spelling}.py"
        yield directory / spelling / "__init__.py"


def plugin_in(path: Path) -> Found:
    """The plugin in this file, which is there."""
    defaults = path.parent / "config" if path.name == "__init__.py" else None
    return Found(str(path), defaults, lambda: _only_plugin_of(_import_file(path), str(path)))


def _in_packages(name: str) -> Found | None:
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    if point is None:
        return None
    return Found(f"{point.value} (installed package)", _defaults_of(point), lambda: _load(point))


def _defaults_of(point: EntryPoint) -> Path | None:
    spec = importlib.util.find_spec(point.module.partition(".")[0])
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) / "config" if places else None


def _load(point: EntryPoint) -> type[Plugin]:
    thing = _importing(point.load, point.value)
    if isinstance(thing, type) and issubclass(thing, Plugin):
        return thing
    if isinstance(thing, ModuleType):
        return _only_plugin_of(thing, point.value)
    raise PluginError(f"{point.value}: this is neither a Plugin subclass nor a module that holds one")


def _import_file(path: Path) -> ModuleType:
    """Import under a name used once, so that two servers in a process never share a plugin's module."""
    name = f"haraka_plugin_{next(_serial)}_{path.parent.name if path.stem == '__init__' else path.stem}"
    packages = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=packages)
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
    except Exception as error:
        raise PluginError(f"{place_of(error, where)}: {type(error).__name__}: {error}") from error


def place_of(error: BaseException, where: str) -> str:
    """`file:line` of the innermost frame of the plugin at `where`, or just `where` when it is not on the way."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
    return f"{where}:{lines[-1]}" if lines else where


def _only_plugin_of(module: ModuleType, where: str) -> type[Plugin]:
    classes: list[type[Plugin]] = [thing for thing in vars(module).values() if _is_plugin_of(module, thing)]
    if len(classes) != 1:
        names = ", ".join(found.__name__ for found in classes) or "none"
        raise PluginError(f"{where}: a plugin file holds exactly one Plugin subclass, this one has {names}")
    return classes[0]


def _is_plugin_of(module: ModuleType, thing: object) -> bool:
    """Only classes written there count, not a base class that was imported."""
    if not (isinstance(thing, type) and issubclass(thing, Plugin)):
        return False
    return thing.__module__ == module.__name__ or thing.__module__.startswith(f"{module.__name__}.")
