"""The queue of the whole server, for plugins of one worker: what others have is asked through their control sockets."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from mta.control.client import ControlClient, NotRunning, Refused
from mta.outbound.spool_errors import SpoolError
from mta.outbound.status import QueuedEntry, list_queue
from mta.plugin.offload import Threads
from mta.plugin.outbound_queue import QueueError

COUNTS = ("in_progress", "ready", "scheduled", "parked", "held")


class QueueControl:
    """See mta.plugin.outbound_queue.OutboundQueue. directory: of the queue; state: the directory of the control sockets."""

    def __init__(self, directory: Path, state: Path) -> None:
        self._directory = directory
        self._state = state
        self._threads = Threads()

    def stats(self) -> Mapping[str, int]:
        """How many of all workers wait for what."""
        status = self._ask("status")
        return {name: status[name] for name in COUNTS}

    def entries(self, limit: int) -> list[dict[str, Any]]:
        """What is on the disk, read in a thread."""
        return self._threads.run(self._read, limit)

    def _read(self, limit: int) -> list[dict[str, Any]]:
        try:
            entries = list_queue(self._directory, lambda problem: None)  # the log has told about it
            return [_described(entry) for entry in islice(entries, limit)]
        except SpoolError as error:
            raise QueueError(str(error)) from error

    def inspect(self) -> Mapping[str, Any]:
        """What the workers have in memory."""
        found: Mapping[str, Any] = self._ask("inspect")
        return found

    def pools(self) -> Mapping[str, Any]:
        """Connections to next hops, by hop."""
        found: Mapping[str, Any] = self._ask("pools")
        return found

    def retry(self, name: str) -> str:
        """Attempt an entry now."""
        return str(self._ask("retry", names=[name])[name])

    def delete(self, name: str) -> str:
        """Remove an entry."""
        return str(self._ask("delete", names=[name])[name])

    def _ask(self, order: str, **arguments: object) -> Any:
        try:
            with ControlClient(self._state) as client:
                return client.ask(order, **arguments)
        except (NotRunning, Refused) as error:
            raise QueueError(str(error)) from error


def _described(entry: QueuedEntry) -> dict[str, Any]:
    todo = entry.todo
    return {
        "file": entry.name.text,
        "uuid": todo.uuid,
        "queue_time": todo.queue_time,
        "domain": todo.domain,
        "from": str(todo.mail_from),
        "to": [str(rcpt) for rcpt in todo.rcpt_to],
    }
