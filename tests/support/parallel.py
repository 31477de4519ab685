"""pytest-xdist in a process that gevent has patched.

A worker of xdist reads its orders in a thread of the system's, started before the suite could patch anything. What it waits for
and hands over is then made of locks that only greenlets can wait for; here they are made of the system's again.
"""

from __future__ import annotations

import gc
import os
import time
from typing import Any

from gevent.monkey import get_original

POLL = 0.005  # seconds

Event: Any = get_original("threading", "Event")


class NativeEvent(Event):  # type: ignore[misc]
    """An event between threads of the system's, however much is patched."""

    def is_set(self) -> bool:
        return bool(self._flag)

    def set(self) -> None:
        self._flag = True

    def clear(self) -> None:
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        sleep = get_original("time", "sleep")
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._flag and (deadline is None or time.monotonic() < deadline):
            sleep(POLL)
        return bool(self._flag)


def use_native_locks() -> None:
    """In a worker of xdist, have its plumbing wait as threads of the system's do; elsewhere do nothing."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    from execnet.gateway_base import ThreadExecModel

    def lock(_: object) -> Any:
        return get_original("_thread", "RLock")()

    for name, make in {"Lock": lock, "RLock": lock, "Event": lambda _: NativeEvent()}.items():
        setattr(ThreadExecModel, name, make)
    for made in gc.get_objects():
        if type(made) is Event:
            made.__class__ = NativeEvent
