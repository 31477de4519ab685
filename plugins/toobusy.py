"""Turn clients away while the server is too slow to serve those that it has."""

from __future__ import annotations

import random
import threading
import time

from mta.plugin import DENYSOFTDISCONNECT, Answer, Connection, Plugin, Server, TooBusySettings

SMOOTHING = 1 / 3  # how much the newest measurement counts
TOO_BUSY = "Too busy; please try again later"


class TooBusy(Plugin):
    """Sleeps for a moment again and again: by how much it oversleeps is what everything else here is late by, too."""

    cfg = TooBusySettings()
    lag = 0.0
    """Milliseconds, smoothed."""
    was_busy = False

    def register(self) -> None:
        self.stopping = threading.Event()
        self.watch: threading.Thread | None = None
        self.load(self.config.settings(TooBusySettings, on_change=self.load))
        self.register_hook("connect", self.check, -100)

    def load(self, cfg: TooBusySettings) -> None:
        self.cfg = cfg

    def hook_init_master(self, server: Server) -> Answer:
        return self.begin()

    def hook_init_child(self, server: Server) -> Answer:
        return self.begin()

    def begin(self) -> Answer:
        if self.watch is None:
            self.watch = threading.Thread(target=self.measure, name=self.name, daemon=True)
            self.watch.start()
        return None

    def shutdown(self) -> None:
        self.stopping.set()

    def measure(self) -> None:
        before = time.monotonic()
        while not self.stopping.wait(self.cfg.interval / 1000):
            now = time.monotonic()
            self.take(max((now - before) * 1000 - self.cfg.interval, 0.0))
            before = time.monotonic()

    def take(self, late: float) -> None:
        """One measurement, in milliseconds."""
        self.lag += (late - self.lag) * SMOOTHING
        if self.was_busy and self.lag <= self.cfg.maxlag:
            self.was_busy = False
            self.lognotice(f"accepting connections again: lag={self.lag:.0f} max={self.cfg.maxlag}")

    def check(self, connection: Connection) -> Answer:
        if not self.is_too_much(random.random()):
            return None
        if not self.was_busy:
            self.was_busy = True
            self.logcrit(f"deferring connections: lag={self.lag:.0f} max={self.cfg.maxlag}")
        return DENYSOFTDISCONNECT, TOO_BUSY

    def is_too_much(self, chance: float) -> bool:
        """Just above maxlag hardly a client is turned away, at twice as much each. chance: 0 to 1."""
        return chance < (self.lag - self.cfg.maxlag) / self.cfg.maxlag
