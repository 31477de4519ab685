"""Run code that computes for long in a thread, so that it holds up nobody but who waits for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, ParamSpec, TypeVar

from gevent import get_hub, getcurrent
from gevent.threadpool import ThreadPool

from mta.logger import RUNNING, logging_in

P = ParamSpec("P")
T = TypeVar("T")

MAX_THREADS = 4
IDLE_SECONDS = 30  # after which a thread that has nothing to do ends

# How long Python code in a thread runs on when the event loop wants to: at Python's 5 ms each, three threads that computed made
# another client wait 55 ms for a reply, at this 9 ms.
SWITCH_SECONDS = 0.0005


class Threads:
    """Some threads, made when they are first needed: `at_once`, or as many as there are processors, but never many."""

    __slots__ = ("_at_once", "_pool")

    def __init__(self, at_once: int = 0) -> None:
        self._at_once = at_once or min(MAX_THREADS, os.cpu_count() or 1)
        self._pool: ThreadPool | None = None

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in a thread and return what it returns, or raise the Exception that it raises."""
        hub = get_hub()
        if not hub.loop.default:
            return function(*args, **kwargs)  # this is such a thread
        if self._pool is None or self._pool.hub is not hub:
            sys.setswitchinterval(SWITCH_SECONDS)
            self._pool = ThreadPool(self._at_once, idle_task_timeout=IDLE_SECONDS)
        context, hook = copy_context(), RUNNING.get(getcurrent())

        def call() -> T:
            with logging_in(hook):  # what the function logs says in which hook, as here
                return context.run(function, *args, **kwargs)

        task = _Task(call)
        try:
            error = self._pool.apply(task.run)
        finally:
            task.wanted = False
        if error is not None:
            raise error
        return task.results[0]


class _Task(Generic[T]):
    """What a thread is to do, unless nobody waits for it any more when its turn comes."""

    __slots__ = ("_function", "results", "wanted")

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self.results: list[T] = []
        self.wanted = True

    def run(self) -> Exception | None:
        """gevent prints the traceback of what a thread raises; here the caller gets it, and only the caller."""
        if not self.wanted:
            return None
        try:
            self.results.append(self._function())
        except Exception as error:
            return error
        return None
