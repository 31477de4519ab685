"""Replacing the workers one by one: the new one takes clients before the old one stops, or the old one stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from mta.processes.child import Child

KEPT = "; the workers stay as they are"


class Workers(Protocol):
    """What a reload does with the workers."""

    def start(self, slot: int) -> Child:
        """Fork one beside the one that serves. Raises StartError."""
        ...

    def retire(self, slot: int, successor: Child) -> None:
        """Let the one that serves take no more clients, and finish what it has."""
        ...

    def retiring(self, slot: int) -> bool:
        """True while one of the slot still finishes: there are never more than two."""
        ...


class Reload:
    """One reload of some slots. step() is called when something may have changed; at the end `done` with "" or the reason.

    A worker that can not start ends it: those that are replaced already stay, for the new configuration served them well.
    """

    def __init__(self, slots: Iterable[int], workers: Workers, done: Callable[[str], None]) -> None:
        self._left = list(slots)
        self._replaced = 0
        self._workers = workers
        self._done = done
        self.starting: Child | None = None
        self.over = False

    def step(self) -> None:
        """Start the next one as soon as that is possible. Raises StartError."""
        if self.over or self.starting is not None:
            return
        if not self._left:
            self._end("")
        elif not self._workers.retiring(self._left[0]):
            self.starting = self._workers.start(self._left[0])

    def ready(self, child: Child) -> None:
        """A worker serves; if it is the one that we wait for, the old one goes."""
        if child is self.starting:
            self._workers.retire(child.slot, child)
            self._left.remove(child.slot)
            self._replaced += 1
            self.starting = None

    def failed(self, reason: str) -> None:
        """The worker that we wait for can not start, or there is no time any more."""
        stays = f"; {self._replaced} workers are new, the others stay" if self._replaced else KEPT
        self._end(f"{reason}{stays}")

    def _end(self, reason: str) -> None:
        if not self.over:
            self.over = True
            self.starting = None
            self._done(reason)
