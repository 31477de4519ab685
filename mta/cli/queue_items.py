"""The entries of a queue as an operator sees them: what their files say, and what the running server knows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mta.cli.queue_expr import Expression, Values
from mta.control.client import ControlClient
from mta.outbound.gate import Gate
from mta.outbound.status import QueuedEntry

MAX_ASKED = 1000  # above it the server is asked only about what is chosen
SHORTEST_UUID = 6  # characters; fewer would choose too much


@dataclass(slots=True)
class Item:
    """One entry. gates: what keeps it, None when no server was asked or it does not know the entry; reason: of the last delay."""

    entry: QueuedEntry
    now: float
    gates: list[Gate] | None = None
    reason: str | None = None
    site: str | None = None

    @property
    def id(self) -> str:
        """What an operator calls the entry: it stays the same through all retries."""
        return self.entry.name.uniq

    @property
    def file(self) -> str:
        """The name of the queue file at the moment."""
        return self.entry.name.text

    @property
    def age(self) -> float:
        """Seconds since the mail arrived."""
        return max(self.now - self.entry.todo.queue_time / 1000, 0.0)

    @property
    def due(self) -> float:
        """Seconds until the next attempt is due, 0 when it is."""
        return max(self.entry.name.next_attempt / 1000 - self.now, 0.0)

    @property
    def state(self) -> str:
        """One word: of the first gate, else from the name alone."""
        if self.gates:
            return self.gates[0].kind
        if self.entry.name.is_held:
            return "held"
        return "backoff" if self.due else "due"

    @property
    def values(self) -> Values:
        """What expressions may ask for."""
        name, todo = self.entry.name, self.entry.todo
        return {
            "id": self.id,
            "uuid": todo.uuid,
            "file": name.text,
            "from": todo.mail_from.address,
            "to": tuple(rcpt.address for rcpt in todo.rcpt_to),
            "domain": todo.domain,
            "site": self.site,
            "state": self.state,
            "error": self.reason,
            "age": self.age,
            "due": self.due,
            "attempts": name.attempts,
            "rcpts": len(todo.rcpt_to),
            "size": self.entry.size,
            "held": name.is_held,
            "due_now": not self.due,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        values = {
            key: list(value) if isinstance(value, tuple) else value for key, value in self.values.items()
        }
        gates = [{"kind": gate.kind, "text": gate.text, "until": gate.until} for gate in self.gates or ()]
        return {**values, "next_attempt": self.entry.name.next_attempt / 1000, "gates": gates}


def gather(
    entries: Iterable[QueuedEntry], client: ControlClient | None, expression: Expression
) -> list[Item]:
    """The entries that an expression chooses, the oldest first, with what the server knows if one is asked.

    Raises NotRunning, Refused.
    """
    now = time.time()
    items = [Item(entry, now) for entry in entries]
    if client is not None and (expression.live or len(items) <= MAX_ASKED):
        _ask(items, client)
    chosen = [item for item in items if expression.matches(item.values)]
    if client is not None and len(items) > MAX_ASKED and not expression.live:
        _ask(chosen, client)
    chosen.sort(key=lambda item: (item.entry.name.arrival, item.file))
    return chosen


def _ask(items: list[Item], client: ControlClient) -> None:
    known = client.ask_for_each("explain", (item.file for item in items))
    sites = client.ask_for_each("sites", {item.entry.todo.domain for item in items}, key="domains")
    for item in items:
        item.site = sites.get(item.entry.todo.domain)
        said = known.get(item.file)
        if said is not None:
            item.gates = [Gate(gate["kind"], gate["text"], gate["until"]) for gate in said["gates"]]
            item.reason = said["reason"]


def named(entries: Iterable[QueuedEntry], names: Iterable[str]) -> Iterator[tuple[str, list[QueuedEntry]]]:
    """For each id, uuid (or its beginning) or file name, the entries that it means."""
    everything = list(entries)
    for name in names:
        yield name, [entry for entry in everything if _is_called(entry, name)]


def _is_called(entry: QueuedEntry, name: str) -> bool:
    if name in (entry.name.uniq, entry.name.text, entry.todo.uuid):
        return True
    return len(name) >= SHORTEST_UUID and entry.todo.uuid.startswith(name.upper())
