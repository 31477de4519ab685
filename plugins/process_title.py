"""Show in ps and top what each process of the server does."""

from __future__ import annotations

import threading
import time

from mta.plugin import Answer, Plugin, Server, Title, TitleBar

SECONDS = 1.0
WITHOUT = "without setproctitle ps shows a short name only (pip install haraka-mta[title])"


class ProcessTitle(Plugin):
    """Each worker shows its own figures; a master sees that the plugin is listed, and shows the sums."""

    def register(self) -> None:
        self.title = Title()
        self.bar = TitleBar()
        self.stopping = threading.Event()
        self.clock: threading.Thread | None = None

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

    def tick(self) -> None:
        while not self.stopping.wait(SECONDS):
            figures = self.server.figures
            title = self.title.after(time.monotonic() - self.began, figures)
            self.bar.show(title, f"haraka cc={figures.get('connections', 0)}")
