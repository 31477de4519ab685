"""`haraka -l`: the plugins that may be named in config/plugins."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from mta import paths
from mta.plugin.packages import GROUP

_WITH_SLASH = (
    "auth",
    "queue",
)  # the folders whose plugins Haraka writes `queue/discard`; in others it is a dot


def show_plugins(directory: Path | None) -> int:
    """Print the names of plugins by the place where they are found, first the place that is looked at first."""
    if directory is not None:
        _show(f"*local {directory / 'plugins'}", plugin_names(directory / "plugins"))
    for package, names in _packaged():
        _show(f"*package {package}", names)
    _show(f"*global {paths.PLUGINS}", plugin_names(paths.PLUGINS))
    return 0


def _packaged() -> list[tuple[str, list[str]]]:
    """What each installed package offers, with the package's name and version."""
    found: dict[str, set[str]] = {}
    for point in entry_points(group=GROUP):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
        found.setdefault(package, set()).add(point.name)
    return [(package, sorted(names)) for package, names in sorted(found.items())]


def plugin_names(directory: Path) -> list[str]:
    """The names of the plugins in a directory, as they stand in config/plugins."""
    return sorted(map(_name, _plugins_below(directory, directory)))


def _plugins_below(directory: Path, top: Path) -> Iterator[Path]:
    """Paths without suffix, relative to `top`. A folder with an __init__.py is one plugin."""
    for path in sorted(directory.glob("[!_.]*")):
        if (path / "__init__.py").is_file() or path.suffix == ".py":
            yield path.relative_to(top).with_suffix("")
        elif path.is_dir():
            yield from _plugins_below(path, top)


def _name(plugin: Path) -> str:
    folder, *rest = plugin.parts
    return plugin.as_posix() if folder in _WITH_SLASH or not rest else f"{folder}.{'/'.join(rest)}"


def _show(title: str, names: list[str]) -> None:
    print(title)
    for name in names:
        print(f"\t{name}")
