"""Where the spool waits for the disk, so that no greenlet but the one that asked has to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from mta.outbound.spool_errors import SpoolError

T = TypeVar("T")

_thread_id: Callable[[], int] = get_original("_thread", "get_ident")


class _Done(Generic[T]):
    """A call that has been made. The pool never sees its error, which it would print."""

    __slots__ = ("_error", "_value")

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        self._error: Exception | None = None
        try:
            self._value = function(*args)
        except Exception as error:
            self._error = error

    def result(self) -> T:
        """What the function returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._value


class DiskThreads:
    """A few threads for blocking calls."""

    __slots__ = ("_home", "_pool")

    def __init__(self, size: int) -> None:
        self._pool: ThreadPool | None = ThreadPool(size)
        self._home = _thread_id()

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in a thread and wait for it, as a greenlet; in such a thread, just call it."""
        if _thread_id() != self._home:
            return function(*args)
        if self._pool is None:
            raise SpoolError("the spool is closed")
        done: _Done[T] = self._pool.apply(_Done, (function, args))
        return done.result()

    def close(self) -> None:
        """Wait for the calls under way and end the threads. May be called again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.join()
            pool.kill()
