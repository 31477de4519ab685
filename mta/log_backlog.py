"""Hands things over to a thread, so that a greenlet never waits for a disk or for whoever reads a pipe."""

from __future__ import annotations

import atexit
import os
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import gevent
from gevent import monkey

T = TypeVar("T")

MAX_WAITING = 4 * 1024 * 1024  # characters; as many again may be in the hands of the thread
_COST = 64  # bytes that a str takes besides its characters, so that short ones are bounded too

# The real ones, whether the process is patched or not: the point of the thread is not to be a greenlet.
_start_thread = monkey.get_original("_thread", "start_new_thread")
_RLock = monkey.get_original("_thread", "RLock")
_sleep = monkey.get_original("time", "sleep")


class Backlog(ABC, Generic[T]):
    """Collects items and delivers them every `interval` seconds from a thread, which lives while there are any.

    At most `max_waiting` characters wait; items over that are dropped and counted. After a fork the child starts with
    none, the parent delivers those that were waiting. What still waits when the process exits is flushed.
    """

    def __init__(self, interval: float = 0.05, max_waiting: int = MAX_WAITING) -> None:
        self.dropped = 0  # items, over the life of this process
        self._told = 0  # how many of them the log says
        self._interval = interval
        self._max_waiting = max_waiting
        self._begin()
        atexit.register(self.flush)

    @abstractmethod
    def _deliver(self, items: list[T], dropped: int) -> None:
        """Write the items, in the thread, however long it takes; `dropped` is how many more there should have been."""

    def put(self, item: T, size: int) -> None:
        """Hand over one item of so many characters. Never blocks; from any thread, and from signal handlers."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            cost = size + _COST
            if self._waiting + cost > self._max_waiting:
                self.dropped += 1
                return
            self._waiting += cost
            self._items.append(item)
            if not self._running:
                self._start()

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most `timeout` seconds, letting other greenlets run; True when everything is delivered."""
        deadline = time.monotonic() + timeout
        while self._running and self._pid == os.getpid():
            if time.monotonic() >= deadline:
                return False
            gevent.sleep(0.005)
        return True

    def close(self, timeout: float = 2.0) -> bool:
        """Flush for the last time, as flush() does."""
        atexit.unregister(self.flush)
        return self.flush(timeout)

    def _lose(self, count: int) -> None:
        """Count what could not be delivered."""
        with self._lock:
            self.dropped += count

    def _begin(self) -> None:
        """Nothing waits and no thread runs: true of a new backlog and of a child, where threads are gone."""
        self._pid = os.getpid()
        self._lock = _RLock()  # reentrant: a signal handler that logs may interrupt put()
        self._items: list[T] = []
        self._waiting = 0
        self._running = False
        self._told = self.dropped

    def _start(self) -> None:
        self._running = True
        try:
            _start_thread(self._run, ())
        except RuntimeError:  # no more threads to be had just now; the next item tries again
            self._running = False

    def _run(self) -> None:
        while batch := self._collect():
            self._deliver(*batch)

    def _collect(self) -> tuple[list[T], int] | None:
        """The items of one interval; None when none came, and then the thread ends."""
        _sleep(self._interval)
        with self._lock:
            items, self._items = self._items, []
            self._waiting = 0
            self._running = bool(items)
            dropped = self.dropped - self._told if items else 0
            self._told += dropped
        return (items, dropped) if items else None

    def _pause(self) -> None:
        """Wait a moment, in the thread."""
        _sleep(self._interval)
