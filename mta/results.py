"""What plugins found out about a connection or a transaction, for other plugins and for the log."""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Result = dict[str, Any]

APPENDED = ("pass", "fail", "msg", "err", "skip")
_HANDLED = frozenset({*APPENDED, "hide", "order", "emit", "human"})


class Reporter(Protocol):
    """A plugin, as far as results need one: its name, and its way to the log."""

    @property
    def name(self) -> str:
        """Under which the results are kept."""

    def loginfo(self, *args: Any) -> None:
        """Log what was found."""

    def logerror(self, *args: Any) -> None:
        """Log an error."""


class Results:
    """Results by plugin name. `owner` is the connection or transaction that log lines are about.

    The lists pass, fail, msg, err and skip grow with each add(); any other key keeps its last value.
    Keys that start with `_` never show in the log.
    """

    __slots__ = ("_owner", "_store")

    def __init__(self, owner: object | None = None) -> None:
        # Weak: a circle would keep the message in memory until the next garbage collection, which is far away.
        self._owner = None if owner is None else weakref.ref(owner)
        self._store: dict[str, Result] | None = None

    def add(self, plugin: Reporter | str, found: Mapping[str, Any]) -> None:
        """Add findings. `emit` logs all that the plugin found at INFO, `err` is logged at ERROR.

        `human` replaces the text of collate(), `hide` and `order` (lists of keys) shape it.
        """
        result = self._result(plugin)
        for key, value in found.items():
            if key in APPENDED:
                _append(result, key, value)
            elif key != "emit":
                result[key] = value
        if "human" in result and "human" not in found:
            del result["human"]
        if ("emit" in found or "err" in found) and not isinstance(plugin, str):
            self._log(plugin, found)

    def incr(self, plugin: Reporter | str, amounts: Mapping[str, float]) -> None:
        """Add numbers to counters; a counter starts at 0. Raises TypeError when the value is not a number."""
        result = self._result(plugin)
        for key, amount in amounts.items():
            result[key] = result.get(key, 0) + amount

    def push(self, plugin: Reporter | str, items: Mapping[str, Any]) -> None:
        """Append to lists of any name; a list given is appended item by item."""
        result = self._result(plugin)
        for key, value in items.items():
            _append(result, key, value)

    def collate(self, plugin: Reporter | str) -> str:
        """All findings of a plugin as `key: value, pass:a, b`; "" when there are none."""
        result = self.get(plugin)
        return _human(result) if result else ""

    def get(self, plugin: Reporter | str) -> Result | None:
        """The findings of a plugin; None when it noted nothing."""
        return self._store.get(_name(plugin)) if self._store else None

    def get_all(self) -> dict[str, Result]:
        """All findings by plugin name."""
        return self._store or {}

    def has(self, plugin: Reporter | str, key: str, search: str | float | re.Pattern[str]) -> bool:
        """True when the value under `key`, or one item of that list, equals `search` or matches the pattern."""
        value = (self.get(plugin) or {}).get(key)
        items = value if isinstance(value, list | tuple) else (value,)
        return any(_matches(item, search) for item in items)

    def _result(self, plugin: Reporter | str) -> Result:
        name = plugin if isinstance(plugin, str) else plugin.name
        if self._store is None:
            self._store = {}
        result = self._store.get(name)
        if result is None:
            result = self._store[name] = {}
        return result

    def _log(self, plugin: Reporter, found: Mapping[str, Any]) -> None:
        owner = self._owner and self._owner()
        about = () if owner is None else (owner,)
        if found.get("emit"):
            plugin.loginfo(self.collate(plugin), *about)
        for error in _items(found.get("err")):
            plugin.logerror(str(error), *about)


def _name(plugin: Reporter | str) -> str:
    return plugin if isinstance(plugin, str) else plugin.name


def _items(value: Any) -> Sequence[Any]:
    if value is None or value == "":
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _append(result: Result, key: str, value: Any) -> None:
    items = result.get(key)
    if items is None:
        items = result[key] = []
    if value.__class__ is str and value:
        items.append(value)
    else:
        items.extend(_items(value))


def _matches(item: Any, search: str | float | re.Pattern[str]) -> bool:
    if isinstance(search, re.Pattern):
        return item is not None and search.search(str(item)) is not None
    # 1 == True in Python; a plugin that asks for True does not mean the number.
    return item == search and isinstance(item, bool) == isinstance(search, bool)


def _human(result: Result) -> str:
    """Keys that a plugin chose come first, the lists that every plugin has after them."""
    if result.get("human"):
        return str(result["human"])
    hidden = result.get("hide", ())
    shown = [f"{key}: {_joined(value)}" for key, value in result.items() if _is_own(key, value, hidden)]
    for key in result.get("order") or APPENDED:
        if key not in hidden and result.get(key):
            shown.append(f"{key}:{_joined(result[key])}")
    return ", ".join(shown)


def _is_own(key: str, value: Any, hidden: Sequence[str]) -> bool:
    return not key.startswith("_") and key not in _HANDLED and key not in hidden and value != []


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
