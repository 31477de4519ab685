"""The master's title: what all workers do together. It has no plugins, so it looks whether process_title is one of theirs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from mta.process_title import Title, TitleBar

PLUGIN = "process_title"
SECONDS = 1.0


class MasterTitle:
    """Shows the sums once a second while the plugin is listed. replaced: how many workers have been, since the start."""

    def __init__(self) -> None:
        self.replaced = 0
        self._bar: TitleBar | None = None  # None: not wanted
        self._title = Title(" (master)")
        self._began = time.monotonic()
        self._due = 0.0

    def read(self, lines: Iterable[str]) -> None:
        """Take over what config/plugins lists."""
        wanted = any(_name(line) == PLUGIN for line in lines)
        self._bar = (self._bar or TitleBar()) if wanted else None

    def pause(self) -> float | None:
        """Seconds until it is to be shown again; None when it is not wanted."""
        return max(self._due - time.monotonic(), 0.0) if self._bar else None

    def show(self, sums: Mapping[str, int]) -> None:
        """Show it, if it is time. sums: the figures of all workers together."""
        now = time.monotonic()
        if self._bar is None or now < self._due:
            return
        self._due = now + SECONDS
        title = f"{self._title.after(now - self._began, sums)} respawn={self.replaced}"
        self._bar.show(title, f"haraka all={sums.get('connections', 0)}")


def _name(line: str) -> str:
    """`process_title`, `haraka-plugin-process_title` or `NAME: process_title`."""
    return line.rpartition(":")[2].strip().removeprefix("haraka-plugin-")
