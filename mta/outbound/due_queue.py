"""The entries that wait for their time: a heap of names, about 280 bytes an entry."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

SPARE = 1024  # stale places in the heap that are no reason to clean up


class DueQueue:
    """Names by the time they are due, in milliseconds since 1970; each name once.

    A name that is removed or given another time leaves its old place in the heap, which is passed over later.
    """

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    def __bool__(self) -> bool:
        return bool(self._due)

    def __contains__(self, name: str) -> bool:
        return name in self._due

    def __iter__(self) -> Iterator[str]:
        return iter(self._due)

    def push(self, due_ms: int, name: str) -> bool:
        """Add a name, or give it another time. True when it is the first that will be due."""
        self._due[name] = due_ms
        entry = (due_ms, name)
        heapq.heappush(self._heap, entry)
        return self._heap[0] is entry

    def remove(self, name: str) -> bool:
        """Take a name out; False when it is not there."""
        if self._due.pop(name, None) is None:
            return False
        if len(self._heap) > 2 * len(self._due) + SPARE:
            self._rebuild()
        return True

    def due(self, name: str) -> int | None:
        """When a name is due; None when it is not here."""
        return self._due.get(name)

    def first(self) -> int | None:
        """When the first name is due; None when there is none."""
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop(self) -> tuple[int, str]:
        """Take out the name that is due first. Raises IndexError when there is none."""
        if self.first() is None:
            raise IndexError("nothing is due")
        due_ms, name = heapq.heappop(self._heap)
        del self._due[name]
        return due_ms, name

    def flush(self) -> None:
        """Make everything due now."""
        self._due = dict.fromkeys(self._due, 0)
        self._rebuild()

    def shift(self, by_ms: int) -> None:
        """Move everything: the wall clock was set, and the waits shall be what they were."""
        self._due = {name: max(due_ms + by_ms, 0) for name, due_ms in self._due.items()}
        self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(due_ms, name) for name, due_ms in self._due.items()]
        heapq.heapify(self._heap)
