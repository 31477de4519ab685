"""Once a second a worker puts its figures on the board: the master sees by that that it lives, and what it does."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import gevent

from mta import memory
from mta.processes.board import Board, added
from mta.version import VERSION

if TYPE_CHECKING:
    from mta.inbound.listener import Listener
    from mta.inbound.service import Service
    from mta.outbound.service import Outbound
    from mta.processes.systemd import Notifier

SECONDS = 1.0


class WorkerPulse:
    """board, line: where the figures go. notifier: of a process without a master, which speaks for itself."""

    def __init__(
        self,
        board: Board | None,
        line: int,
        notifier: Notifier | None,
        listener: Listener,
        service: Service,
        outbound: Outbound,
    ) -> None:
        self._board = board
        self._line = line
        self._notifier = notifier
        self._listener = listener
        self._service = service
        self._outbound = outbound
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._began = time.time()

    def start(self) -> None:
        """Begin to beat."""
        self.beat()
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End it, with the last figures on the board."""
        if self._greenlet is not None:
            self._greenlet.kill()
        self.beat()

    def figures(self) -> dict[str, int]:
        """How this worker is just now, and what it has counted: see FIELDS."""
        waits, sent = self._outbound.counts(), self._outbound.counters
        messages = self._service.messages
        return {
            "connections": self._listener.count,
            **waits,
            "memory": memory.resident(),
            "accepted": self._listener.accepted,
            "turned_away": self._listener.turned_away,
            "received": messages.accept,
            "put_off": messages.tempfail,
            "rejected": messages.reject,
            "recipients": self._service.recipients,
            "delivered": sent.delivered,
            "deferred": sent.deferred,
            "failed": sent.failed,
            "bounced": sent.bounced,
        }

    def sums(self) -> dict[str, int]:
        """The figures of all workers together: ours as they are, those of others at most a second old."""
        if self._board is None:
            return added([self.figures()])
        self._board.write(self._line, self.figures())
        return self._board.sums()

    def about(self) -> dict[str, object]:
        """What `haraka status` tells of the process."""
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "started": self._began,
            "connections": self._listener.count,
            "figures": self.figures(),
        }

    def beat(self) -> None:
        """Put the figures down, and tell the service manager that we live."""
        if self._board is not None:
            self._board.write(self._line, self.figures())
        if self._notifier is not None:
            self._notifier.beat()

    def status_line(self) -> str:
        """One line for the service manager."""
        now = self.figures()
        waiting = sum(now[name] for name in ("scheduled", "ready", "parked", "held"))
        return f"{now['connections']} connections, {waiting} in the queue"

    def _run(self) -> None:
        expected = self._notifier.pause if self._notifier else None
        pause = min(SECONDS, expected or SECONDS)
        while True:
            gevent.sleep(pause)
            self.beat()
            if self._notifier is not None:
                self._notifier.status(self.status_line())
