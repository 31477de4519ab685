"""Catch clients that speak before they were greeted: hardly anything but spam software does (RFC 5321 4.3.1)."""

from __future__ import annotations

import time

from mta.plugin import DENYDISCONNECT, Answer, Connection, EarlyTalkerSettings, Plugin, ip_in_list

TOO_SOON = "You talk too soon"
SUBMISSION = (465, 587)  # users wait there, and have to log in anyway


class EarlyTalker(Plugin):
    """Lets a client wait for its greeting for a while. Each waits for itself, and only as long as it is silent."""

    timeout = 0.0  # the pause is the limit

    cfg = EarlyTalkerSettings()

    def register(self) -> None:
        self.load(self.config.settings(EarlyTalkerSettings, on_change=self.load))

    def load(self, cfg: EarlyTalkerSettings) -> None:
        self.cfg = cfg

    def hook_connect(self, connection: Connection) -> Answer:
        if not self.cfg.pause or not self.is_suspect(connection):
            return None
        # Looking up the client's name, and other plugins, made it wait already; a load balancer's header did not.
        waited = 0.0 if connection.proxy.ip else time.time() - connection.start_time
        if not connection.talks_early(max(self.cfg.pause - waited, 0.0)):
            connection.results.add(self, {"pass": "early"})
            return None
        return self.caught(connection)

    def hook_data(self, connection: Connection) -> Answer:
        """Clients that were silent at first, but did not wait for a reply where they have to."""
        if connection.early_talker and self.is_suspect(connection):
            return self.caught(connection)
        return None

    def caught(self, connection: Connection) -> Answer:
        connection.results.add(self, {"fail": "early"})
        return (DENYDISCONNECT, TOO_SOON) if self.cfg.reject else None

    def is_suspect(self, connection: Connection) -> bool:
        """False for clients that are trusted. Behind a load balancer it is its client, not itself, that this is about."""
        reason = self.reason_to_trust(connection)
        if reason:
            connection.results.add(self, {"skip": reason})
        return not reason

    def reason_to_trust(self, connection: Connection) -> str:
        if connection.relaying:
            return "relaying"
        if connection.remote.is_private:
            return "private"
        if "xclient" in connection.notes:
            return "xclient"  # its proxy has greeted it
        if connection.local.port in SUBMISSION:
            return "submission"
        if ip_in_list(connection.remote.ip, self.cfg.ip_whitelist):
            return "whitelist"
        karma = connection.results.get("karma")
        return "+karma" if karma and int(karma.get("good", 0)) > 0 else ""
