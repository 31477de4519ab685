"""Accept messages that are marked for it, and throw them away."""

from __future__ import annotations

import os

from mta.plugin import OK, Answer, Connection, Plugin

SWITCH = "YES_REALLY_DO_DISCARD"


class Discard(Plugin):
    """Discards when a note `discard` says so, or everything with YES_REALLY_DO_DISCARD in the environment."""

    everything = False

    def register(self) -> None:
        self.everything = bool(os.environ.get(SWITCH))
        if self.everything:
            self.lognotice(f"{SWITCH} is set: every message is discarded")

    def hook_queue(self, connection: Connection) -> Answer:
        if not self.is_wanted(connection):
            return None
        self.loginfo("discarding message", connection)
        return OK

    def hook_queue_outbound(self, connection: Connection) -> Answer:
        return self.hook_queue(connection)

    def is_wanted(self, connection: Connection) -> bool:
        """What another plugin wants with the message counts for more than the environment."""
        assert connection.transaction is not None  # there is one at hook queue
        notes = connection.transaction.notes
        wanted = notes.get("queue.wants")
        if wanted:
            return bool(wanted == "discard")
        return bool(self.everything or notes.get("discard") or connection.notes.get("discard"))
