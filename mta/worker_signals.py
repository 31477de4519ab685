"""What signals mean to a worker, or to a server of one process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import TypeAlias

import gevent

Handlers: TypeAlias = Mapping[int, Callable[[], object]]

# systemd, and a terminal, send a signal to the whole group, and the master passes on its own: that is one signal.
ONE_SIGNAL = 1.0  # seconds
ENDING = (signal.SIGTERM, signal.SIGINT)


class WorkerSignals:
    """Calls a handler, in a greenlet of its own, for each signal that comes. has_master: one more may be the same one."""

    def __init__(self, handlers: Handlers, *, has_master: bool) -> None:
        self._has_master = has_master
        self._others = [number for number in handlers if number not in ENDING]
        self._watchers = [gevent.signal_handler(number, act) for number, act in handlers.items()]

    def leave(self) -> None:
        """The end has begun: the next SIGTERM or SIGINT ends the process at once, the others have nothing to say any more."""
        if self._has_master:
            gevent.spawn_later(ONE_SIGNAL, self._cancel)
        else:
            self._cancel()

    def _cancel(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        for number in self._others:
            signal.signal(number, signal.SIG_IGN)
