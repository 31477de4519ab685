"""Where the spool waits for the disk, so that no greenlet but the one that asked has to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gevent import spawn
from gevent.event import AsyncResult
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from mta.outbound.spool_errors import SpoolError

T = TypeVar("T")
J = TypeVar("J")

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


class Batches(Generic[J]):
    """Gathers jobs while others are under way, and hands all that have gathered to one call in a thread.

    However many wait, the event loop is woken once for a batch. unwanted: called for each job that was done after
    the greenlet that wanted it had been stopped.
    """

    __slots__ = ("_gathered", "_running", "_threads", "_unwanted", "_work")

    def __init__(
        self,
        threads: DiskThreads,
        work: Callable[[list[J]], None],
        unwanted: Callable[[J], None] = lambda job: None,
    ) -> None:
        self._threads = threads
        self._work = work
        self._unwanted = unwanted
        self._gathered: list[tuple[J, AsyncResult[None] | None]] = []
        self._running = False

    def do(self, job: J) -> None:
        """Have a job done and wait until it is."""
        done: AsyncResult[None] = AsyncResult()
        self._gather(job, done)
        try:
            done.get()
        except SpoolError:
            raise
        except BaseException:
            self._give_up(job, done)
            raise

    def leave(self, job: J) -> None:
        """Have a job done, and do not wait; nobody is told when that fails."""
        self._gather(job, None)

    def _gather(self, job: J, done: AsyncResult[None] | None) -> None:
        self._gathered.append((job, done))
        if not self._running:
            self._running = True
            spawn(self._run)

    def _run(self) -> None:
        while self._gathered:
            batch, self._gathered = self._gathered, []
            try:
                self._threads.call(self._work, [job for job, _ in batch])
            except Exception as error:
                # Nobody must wait for ever, whatever went wrong.
                trouble = (
                    error if isinstance(error, SpoolError) else SpoolError(f"the spool failed: {error!r}")
                )
                for _, done in batch:
                    if done is not None:
                        done.set_exception(trouble)
            else:
                for _, done in batch:
                    if done is not None:
                        done.set(None)
        self._running = False

    def _give_up(self, job: J, done: AsyncResult[None]) -> None:
        """Nobody waits for this job any more: leave it out if it has not begun, else undo it when it is done."""
        if (job, done) in self._gathered:
            self._gathered.remove((job, done))
        else:
            spawn(self._undo, job, done)

    def _undo(self, job: J, done: AsyncResult[None]) -> None:
        done.wait()
        if done.successful():
            self._unwanted(job)
