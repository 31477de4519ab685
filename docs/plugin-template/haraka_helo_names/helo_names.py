"""Refuse clients that introduce themselves by a name from a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mta.plugin import DENY, Answer, Connection, Plugin


class HeloNames(Plugin):
    """Both files are followed while the server runs."""

    names: frozenset[str] = frozenset()
    message = ""

    def register(self) -> None:
        self.load_names(self.config.get("helo_names.list", "list", on_change=self.load_names))
        self.load_settings(self.config.get("helo_names.ini", on_change=self.load_settings))

    def load_names(self, lines: Sequence[str]) -> None:
        self.names = frozenset(line.lower() for line in lines)

    def load_settings(self, cfg: Mapping[str, Any]) -> None:
        self.message = str(cfg["main"]["message"])

    def hook_helo(self, connection: Connection, host: str) -> Answer:
        if connection.relaying or host.lower() not in self.names:
            return None
        return DENY, self.message.replace("{host}", host)

    def hook_ehlo(self, connection: Connection, host: str) -> Answer:
        return self.hook_helo(connection, host)
