"""A place for plugins to remember things."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class Notes(dict[str, Any]):
    """A dict whose keys are also attributes, and whose nested dicts can be reached by a dotted path."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no note {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"no note {name!r}") from None

    def get(self, path: str | Sequence[str], default: Any = None, /) -> Any:
        """The note under `a.b.c` or ["a", "b", "c"]; `default` when any part of the way is missing."""
        if isinstance(path, str):
            if path in self:
                return self[path]
            if path and "." not in path:
                return default
        found: Any = self
        for key in _parts(path):
            if not isinstance(found, dict) or key not in found:
                return default
            found = found[key]
        return found

    def set(self, path: str | Sequence[str], value: Any, only_when_undefined: bool = False) -> None:
        """Store under `a.b.c` or ["a", "b", "c"], making the dicts on the way.

        `only_when_undefined` keeps a value that is there. Raises TypeError when the way leads through something
        that is not a dict, ValueError for an empty path.
        """
        *way, last = _parts(path)
        place: dict[str, Any] = self
        for key in way:
            below = place.setdefault(key, Notes())
            if not isinstance(below, dict):
                raise TypeError(
                    f"cannot set note {path!r}: {key!r} holds a {type(below).__name__}, not a dict"
                )
            place = below
        if not only_when_undefined or last not in place:
            place[last] = value


def _parts(path: str | Sequence[str]) -> Sequence[str]:
    if isinstance(path, str):
        return _split(path)
    if not path or not all(path):
        raise ValueError(f"not a path to a note: {path!r}")
    return path


@lru_cache(maxsize=256)
def _split(path: str) -> tuple[str, ...]:
    parts = tuple(path.split("."))
    if not all(parts):
        raise ValueError(f"not a path to a note: {path!r}")
    return parts
