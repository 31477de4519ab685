"""A plugin that takes longer than it may, doing what a test says."""

from __future__ import annotations

from collections.abc import Callable

from mta.plugin import Plugin
from mta.plugin.verdict import Verdict
from tests.support.plugins import connection_from, runner_of

SHORT = 0.05  # seconds that a plugin has here
LONG = 60


class Late(Plugin):
    """Does at hook data what a test says; `said` is what it lived to tell."""

    name = "late"
    timeout = SHORT

    def __init__(self, do: Callable[[Late], object]) -> None:
        self.do = do
        self.said: list[str] = []

    def hook_data(self, connection):
        return self.do(self)


def ask(do: Callable[[Late], object], timeout: float = SHORT) -> tuple[Late, Verdict, list[str]]:
    """What becomes of hook data, and the lines at CRIT."""
    plugin = Late(do)
    plugin.timeout = timeout
    runner, lines = runner_of(plugin)
    verdict = runner.run("data", connection_from())
    return plugin, verdict, [line for line in lines if line.startswith("[CRIT]")]
