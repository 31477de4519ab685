"""Refuse at load what would go unnoticed until a hook runs: misspelt hooks and methods of the wrong shape."""

from __future__ import annotations

import difflib
import inspect

from mta.plugin.errors import PluginError
from mta.plugin.hooks import HOOKS, Plugin, Registration


def check_names(plugin: Plugin) -> None:
    """Raise PluginError, with file and line, when a hook_ method belongs to no hook."""
    for name in dir(plugin):
        if name.startswith("hook_") and name.removeprefix("hook_") not in HOOKS:
            method = getattr(plugin, name)
            if callable(method):
                raise PluginError(f"{_place(method, plugin)}: there is no hook {name}{_advice(name)}")


def check_shapes(plugin: Plugin) -> None:
    """Raise PluginError, with file and line, when a method does not take what its hook hands to it."""
    for registration in plugin.registrations():
        _check_shape(plugin, registration)


def _check_shape(plugin: Plugin, registration: Registration) -> None:
    hook, method, _ = registration
    place = _place(method, plugin)
    if not callable(method):
        raise PluginError(f"{place}: hook_{hook} is no method but {method!r}")
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise PluginError(f"{place}: {_name(method)} is async; hooks are plain functions and may block")
    if inspect.isgeneratorfunction(method):
        raise PluginError(f"{place}: {_name(method)} yields; hooks return their answer")
    wanted = list(inspect.signature(getattr(Plugin, f"hook_{hook}")).parameters)[1:]
    try:
        signature = inspect.signature(method)
    except ValueError:
        return  # some builtins do not say what they take
    try:
        signature.bind(*wanted)
    except TypeError:
        taken = ", ".join(signature.parameters)
        raise PluginError(
            f"{place}: {_name(method)} takes ({taken}), but hook {hook} hands over ({', '.join(wanted)})"
        ) from None


def _advice(name: str) -> str:
    if name == "hook_shutdown":
        return ", the method is called shutdown"
    close = difflib.get_close_matches(name, [f"hook_{hook}" for hook in HOOKS], n=1)
    return f", did you mean {close[0]}?" if close else ""


def _name(method: object) -> str:
    return str(getattr(method, "__name__", method))


def _place(method: object, plugin: Plugin) -> str:
    """`file:line` of the method, or at least the file of the plugin's class."""
    function = inspect.unwrap(getattr(method, "__func__", method))  # type: ignore[arg-type]  # any callable will do
    code = getattr(function, "__code__", None)
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    return inspect.getfile(type(plugin))
