"""The hooks at the start of a process: a plugin may refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.plugin.refusal import lines_of
from mta.plugin.verdict import REJECTIONS
from mta.processes.errors import StartError

if TYPE_CHECKING:
    from mta.plugin.runner import HookRunner
    from mta.plugin.server import Server


def run_init_hooks(hooks: HookRunner, server: Server, *, first: bool, has_master: bool) -> None:
    """init_master in the first process alone, init_child in each that has a master. Raises StartError."""
    if first:
        _run("init_master", hooks, server)
    if has_master:
        _run("init_child", hooks, server)


def _run(hook: str, hooks: HookRunner, server: Server) -> None:
    verdict = hooks.run(hook, server)
    if verdict.code in REJECTIONS:
        said = " ".join(lines_of(verdict.message))
        why = f": {said}" if said else ""
        raise StartError(f"plugin {verdict.plugin} does not let the server start{why}")
