"""The queue of the whole server, as plugins may look at it and steer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class QueueError(Exception):
    """The queue can not be asked, or refuses; the text is one line that says why."""


class OutboundQueue(Protocol):
    """What waits to be sent, in all workers of the server. Every method waits for an answer, and raises QueueError.

    Entries are called by the names of their queue files.
    """

    def entries(self, limit: int) -> list[dict[str, Any]]:
        """At most so many entries: file, uuid, queue_time (ms since 1970), domain, from, to."""
        ...

    def stats(self) -> Mapping[str, int]:
        """How many entries are in_progress, ready, scheduled, parked, held; Server.figures tells those of this process."""
        ...

    def inspect(self) -> Mapping[str, Any]:
        """The entries that are `under_way`, and those that are `waiting`, each with the time (ms since 1970) of its attempt."""
        ...

    def pools(self) -> Mapping[str, Any]:
        """For each next hop, `host:port`, the connections to it: inUse, and size with the idle ones."""
        ...

    def retry(self, name: str) -> str:
        """Attempt an entry now: `done`, or why not (busy, gone, held, or a sentence)."""
        ...

    def delete(self, name: str) -> str:
        """Remove an entry; nobody is told but the log. Answers as retry."""
        ...


class NoOutboundQueue:
    """The queue of a server that does not run (yet)."""

    def entries(self, limit: int) -> list[dict[str, Any]]:
        """Raises QueueError, as all the others do."""
        raise QueueError("the server is not running")

    def stats(self) -> Mapping[str, Any]:
        """See entries."""
        raise QueueError("the server is not running")

    inspect = pools = stats

    def retry(self, name: str) -> str:
        """See entries."""
        raise QueueError("the server is not running")

    delete = retry
