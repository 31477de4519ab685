"""`haraka -o`: which plugins run on which hook, in order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mta.cli.errors import CommandError
from mta.cli.installation import open_config
from mta.config.schema import SmtpSettings
from mta.logger import Logger
from mta.plugin.errors import PluginError
from mta.plugin.loader import load_plugins
from mta.plugin.runner import Call, compile_chains
from mta.plugin.server import Server

_COLUMNS = ("Plugin", "Method", "Prio", "T/O")


def show_order(directory: Path) -> int:
    """Load the plugins of the installation and print the chain of every hook that has one. Raises CommandError."""
    config = open_config(directory)
    logger = Logger(write=lambda line: print(line, file=sys.stderr))
    ignore_bad = config.settings(SmtpSettings).ignore_bad_plugins
    names = config.get("plugins", "list")
    try:
        plugins = load_plugins(names, config, logger, Server(), [directory / "plugins"], ignore_bad)
    except PluginError as error:
        raise CommandError(str(error)) from None
    for hook, calls in compile_chains(plugins).items():
        if calls:
            print(_table(hook, calls))
    return 0


def _table(hook: str, calls: Sequence[Call]) -> str:
    rows = [_COLUMNS, *(_row(call) for call in calls)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([f"Hook: {hook} ".ljust(64, "-"), *(line.rstrip() for line in lines), ""])


def _row(call: Call) -> tuple[str, ...]:
    timeout = f"{call.timeout:g}" if call.timeout else "none"
    return call.name, call.function, str(call.priority), timeout
