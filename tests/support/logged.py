"""A receiving side whose log goes through logging plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mta.logger import INFO
from mta.plugin.hooks import Plugin
from mta.plugin.runner import HookRunner
from tests.support.install import eventually
from tests.support.plugins import plugins_of
from tests.support.service import Inbound, Local


class Logged:
    """A running listener with plugins by name and as objects; `lines` is what came to standard output."""

    def __init__(
        self,
        install: Path,
        names: Sequence[str],
        files: Mapping[str, str] | None = None,
        *extra: Plugin,
        level: int = INFO,
        **settings: Any,
    ) -> None:
        self.inbound = Inbound([], log_level=level, **settings)
        self.logger = self.inbound.logger
        self.lines = self.inbound.lines
        self.plugins = plugins_of(install, names, files or {}, self.logger)
        self.lines.clear()  # who was loaded
        for plugin in extra:
            plugin.name = plugin.name or type(plugin).__name__.lower()
            plugin.logger = self.logger
            if plugin.log_level is not None:
                plugin.log_level = plugin.log_level  # now there is a logger to tell
        self.hooks = self.inbound.service.hooks = HookRunner([*self.plugins, *extra, Local()], self.logger)
        self.logger.plugins_ready(self.hooks.on_record if self.hooks.has("log") else None)

    def plugin(self, name: str) -> Any:
        """The loaded plugin of that name."""
        return next(plugin for plugin in self.plugins if plugin.name == name)

    def __enter__(self) -> Logged:
        self.inbound.__enter__()
        return self

    def __exit__(self, *args: object) -> None:
        self.inbound.__exit__(*args)
        self.logger.plugins_ready(None)
        self.hooks.shutdown()

    def idle(self) -> bool:
        """Wait until no session is left; False when that never was."""
        return eventually(lambda: self.inbound.listener.count == 0)

    def session(self, *rcpts: str, sender: str = "<a@example.org>") -> list[str]:
        """One session with one mail, up to the reply to QUIT: the replies to RCPT, and the last one."""
        client = self.inbound.client()
        client.ask("EHLO client.test")
        client.ask(f"MAIL FROM:{sender}")
        replies = [client.ask(f"RCPT TO:<{rcpt}>") for rcpt in rcpts]
        if client.ask("DATA").startswith("354"):
            client.send(b"Message-Id: <m@x>\r\nSubject: hello\r\n\r\nbody\r\n.\r\n")
            replies.append(client.read())
        client.ask("QUIT")
        client.close()
        return replies
