"""Keep clients waiting that another plugin has marked with the note `tarpit`."""

from __future__ import annotations

import time
from typing import Any

from mta.plugin import HOOKS, Answer, Connection, Plugin, PluginError, TarpitSettings

NO_SESSION = ("init_", "log", "send_email", "get_mx", "deferred", "bounce", "delivered", "disconnect")


class Tarpit(Plugin):
    """`connection.notes.tarpit`, else `transaction.notes.tarpit`, says for how many seconds each reply is kept back."""

    timeout = 0.0  # the delay may be longer than any plugin should take

    def register(self) -> None:
        cfg = self.config.settings(TarpitSettings)
        for hook in cfg.hooks_to_delay:
            if hook not in HOOKS or hook.startswith(NO_SESSION):
                file, line = self.config.place(TarpitSettings, "main", "hooks_to_delay")
                raise PluginError(f"{file}:{line}: [main] hooks_to_delay: {hook!r} is no hook of a session")
            self.register_hook(hook, self.delay, 100)

    def delay(self, connection: Connection, *args: Any) -> Answer:
        seconds = delay_of(connection)
        if seconds > 0:
            self.loginfo(f"tarpitting response for {seconds:g}s", connection)
            time.sleep(seconds)
        return None


def delay_of(connection: Connection) -> float:
    """Seconds; a client that is about to leave is told so at once."""
    places = [connection.notes]
    if connection.transaction is not None:
        places.append(connection.transaction.notes)
    return next((float(notes["tarpit"]) for notes in places if notes.get("tarpit")), 0.0)
