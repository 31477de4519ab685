"""The end of a worker: who may ask for it, and how long what is under way may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

if TYPE_CHECKING:
    from mta.logger import Logger

ORIGIN = "server"
READABLE = 1  # libev's EV_READ
RETIRE_EXTRA = 5.0  # seconds for deliveries, when sessions have taken all the time there was


class WorkerEnd:
    """asked: set when the worker shall end. retiring: another one serves in its place. seconds: for what is under way.

    has_master: a second signal is the first one, passed on.
    """

    def __init__(self, seconds: float, has_master: bool, logger: Logger) -> None:
        self.seconds = seconds
        self.asked = Event()
        self.retiring = False
        self._has_master = has_master
        self._logger = logger

    def on_signal(self, name: str, graceful: bool) -> None:
        """End; at once if the signal says so, or is the second one."""
        again = self.asked.is_set()
        if again and self._has_master:
            return
        self._logger.notice(f"{name} received", origin=ORIGIN)
        if again or not graceful:
            self.seconds = 0.0
        self.asked.set()

    def on_retire(self) -> None:
        """End when the clients have."""
        self.retiring = True
        self.asked.set()

    def watch_master(self, end: int) -> None:
        """End with the master, whose end can be read there: nobody would replace us, and the next one must wait for us."""
        watcher = gevent.get_hub().loop.io(end, READABLE)

        def ended() -> None:
            watcher.stop()
            self._logger.error("the master has ended", origin=ORIGIN)
            self.asked.set()

        watcher.start(ended)

    def wait_for(self, clients: Callable[[], object], deadline: float) -> None:
        """When retiring, until `clients` returns or the deadline is over; what is left is the time for deliveries.

        Clear `asked` before: a signal ends the waiting as well, and may leave no time.
        """
        before = self.seconds
        waiting = gevent.spawn(clients)
        waiting.link(lambda _: self.asked.set())
        self.asked.wait(left(deadline))
        waiting.kill()
        if self.seconds:
            self.seconds = max(left(deadline), min(RETIRE_EXTRA, before))

    def deadline(self) -> float:
        """When what is under way must be over if it begins to end now, by time.monotonic()."""
        return time.monotonic() + self.seconds


def left(deadline: float) -> float:
    """Seconds until then, never less than 0."""
    return max(deadline - time.monotonic(), 0.0)
