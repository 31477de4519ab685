"""Show in ps and top what each process of the server does."""

from __future__ import annotations

import threading
import time

from mta.plugin import (
    Address,
    Answer,
    Connection,
    Params,
    Plugin,
    QueueError,
    Server,
    Title,
    TitleBar,
    Traffic,
)

SECONDS = 1.0
COUNTED = "pt_connect_run"
WITHOUT = "without setproctitle ps shows a short name only (pip install haraka-mta[title])"


class ProcessTitle(Plugin):
    """List it first: what other plugins answer OK to is not counted otherwise."""

    def register(self) -> None:
        self.traffic = Traffic()
        self.title = Title()
        self.bar = TitleBar()
        self.stopping = threading.Event()
        self.clock: threading.Thread | None = None
        self.register_hook("rcpt", self.count_rcpt, -100)
        self.register_hook("data", self.count_message, -100)

    def hook_init_master(self, server: Server) -> Answer:
        return self.begin()

    def hook_init_child(self, server: Server) -> Answer:
        self.title.role = " (worker)"
        return self.begin()

    def begin(self) -> Answer:
        if self.clock is None:
            if not self.bar.shows_all:
                self.lognotice(WITHOUT)
            self.began = time.monotonic()
            self.clock = threading.Thread(target=self.tick, name=self.name, daemon=True)
            self.clock.start()
        return None

    def shutdown(self) -> None:
        self.stopping.set()

    # ---- counting

    def hook_connect_init(self, connection: Connection) -> Answer:
        if COUNTED not in connection.notes:  # a client that is greeted anew is still one connection
            connection.notes[COUNTED] = True
            self.traffic.connections += 1
            self.traffic.concurrent += 1
        return None

    def hook_disconnect(self, connection: Connection) -> Answer:
        if connection.notes.pop(COUNTED, False):
            self.traffic.concurrent -= 1
        return None

    def count_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        self.traffic.recipients += 1
        return None

    def count_message(self, connection: Connection) -> Answer:
        self.traffic.messages += 1
        return None

    # ---- showing

    def tick(self) -> None:
        while not self.stopping.wait(SECONDS):
            self.show()

    def show(self) -> None:
        self.traffic.out = self.out()
        title = self.title.after(time.monotonic() - self.began, self.traffic)
        self.bar.show(title, f"haraka cc={self.traffic.concurrent}")

    def out(self) -> tuple[int, int, int]:
        """Deliveries under way, mails that may leave, mails that wait for their time or are held."""
        try:
            counts = self.server.outbound.counts()
        except QueueError:
            return 0, 0, 0
        may_leave = counts["ready"] + counts["parked"]
        return counts["in_progress"], may_leave, counts["scheduled"] + counts["held"]
