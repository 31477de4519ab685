"""Run code that computes for long in a thread, so that it holds up nobody but who waits for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from gevent import get_hub
from gevent.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")

MAX_THREADS = 4
IDLE_SECONDS = 30  # after which a thread that has nothing to do ends


class Threads:
    """Some threads, made when they are first needed: no more than there are processors, and never many."""

    __slots__ = ("_pool",)

    def __init__(self) -> None:
        self._pool: ThreadPool | None = None

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in a thread and return what it returns, or raise the Exception that it raises."""
        if self._pool is None or self._pool.hub is not get_hub():
            self._pool = ThreadPool(min(MAX_THREADS, os.cpu_count() or 1), idle_task_timeout=IDLE_SECONDS)
        results: list[T] = []
        context = copy_context()  # so that what the function logs says in which hook, as here
        error = self._pool.apply(_call, (results, lambda: context.run(function, *args, **kwargs)))
        if error is not None:
            raise error
        return results[0]


def _call(results: list[T], function: Callable[[], T]) -> Exception | None:
    """gevent prints the traceback of what a thread raises; here the caller gets it, and only the caller."""
    try:
        results.append(function())
    except Exception as error:
        return error
    return None
