"""What a thread is doing, read from its frames: which plugin, at which hook, in which line. Costs who is watched nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import FrameType

from mta.plugin.log_args import uuid_of
from mta.plugin.log_hook import LogHook
from mta.plugin.runner import HookRunner
from mta.record import record

CORE = "core"  # what is no plugin's
ASK = HookRunner._ask.__code__
SHOW = LogHook._show.__code__

_of_file = re.compile(r"haraka_plugin_\d+_(\w[^.]*)").match  # how `find` calls the module of a plugin's file


@record
class Whereabouts:
    """plugin: its name, or CORE. hook: "" outside one. at: `file:line` of the plugin, or of the server. inside: the function
    that was called there and its `file:line`, when that is somebody else's, such as a library's."""

    plugin: str
    hook: str
    uuid: str
    at: str
    inside: str

    def fields(self) -> dict[str, object]:
        """For a log line; what is empty is left out."""
        return {key: value for key in ("hook", "at", "inside") if (value := getattr(self, key))}


def whereabouts(frame: FrameType) -> Whereabouts:
    """Of the thread whose innermost frame this is."""
    frames = list(_outwards(frame))
    for depth, each in enumerate(frames):
        if each.f_code in (ASK, SHOW):
            return _in_a_hook(each, frames[:depth])
    return _elsewhere(frames)


def holder(frame: FrameType) -> FrameType:
    """What stays the same for as long as one call of a plugin, or one greenlet without any, keeps running."""
    for each in _outwards(frame):
        frame = each
        if each.f_code in (ASK, SHOW):
            break
    return frame


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _in_a_hook(ask: FrameType, frames: Sequence[FrameType]) -> Whereabouts:
    told = ask.f_locals
    if ask.f_code is SHOW:
        call, hook, uuid = told["listener"], "log", told["record"].uuid
    else:
        call, hook, uuid = told["call"], told["hook"], uuid_of(told["subject"])
    module = type(getattr(call.method, "__self__", None)).__module__
    return Whereabouts(call.name, hook, uuid, *_at(frames, module))


def _elsewhere(frames: Sequence[FrameType]) -> Whereabouts:
    """In the server, or in what a plugin does outside of hooks: a page for HTTP, say."""
    for frame in frames:
        module = _module(frame)
        if found := _of_file(module):
            return Whereabouts(found[1], "", "-", *_at(frames, module.partition(".")[0]))
    return Whereabouts(CORE, "", "-", *_at(frames, "mta"))


def _at(frames: Sequence[FrameType], module: str) -> tuple[str, str]:
    """Where that module, or one within it, was, and what it had called."""
    if not frames:  # between two calls
        return "", ""
    innermost = frames[0]
    own = next((frame for frame in frames if f"{_module(frame)}.".startswith(f"{module}.")), innermost)
    return _place(own), "" if own is innermost else f"{innermost.f_code.co_qualname} {_place(innermost)}"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
