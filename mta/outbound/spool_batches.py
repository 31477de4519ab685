"""Many jobs for one call in the thread that writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from gevent import get_hub, spawn

from mta.outbound.spool_errors import SpoolError
from mta.outbound.spool_thread import DiskThread, Wait

J = TypeVar("J")


class Step(NamedTuple):
    """Work in two parts: what the thread does, and what follows in the event loop unless that raised; it must not fail."""

    act: Callable[[], None]
    conclude: Callable[[], None]


WOKEN_AT_ONCE = (
    20  # greenlets, each of which may run for a part of a millisecond; nobody else is served meanwhile
)
LINGER = 0.02  # seconds that a job which nobody waits for waits for company


class Batches(Generic[J]):
    """Gathers jobs while others are under way, and hands all that have gathered to one call in the thread.

    However many wait, the event loop is woken once for a batch. unwanted: called for each job that was done after
    the greenlet that wanted it had been stopped. prepare: does as much of the work as it can in the event loop, where what it
    touches is warm, and gives what is left; None when `work` shall do all of it.
    """

    __slots__ = ("_awaited", "_begun", "_gathered", "_lingering", "_prepare", "_thread", "_unwanted", "_work")

    def __init__(
        self,
        thread: DiskThread,
        work: Callable[[list[J]], None],
        unwanted: Callable[[J], None] = lambda job: None,
        prepare: Callable[[list[J]], Step | None] = lambda jobs: None,
    ) -> None:
        self._thread = thread
        self._work = work
        self._unwanted = unwanted
        self._prepare = prepare
        self._gathered: list[tuple[J, Wait | None]] = []
        self._begun = False  # a batch is under way, or about to be
        self._awaited = False  # somebody waits for what has gathered
        self._lingering: Any = None

    def do(self, job: J) -> None:
        """Have a job done and wait until it is."""
        wait = Wait()
        self._gathered.append((job, wait))
        self._awaited = True
        if not self._begun:
            self._begun = True
            # Not at once: others may come before the event loop waits again, and share the batch.
            get_hub().loop.run_callback(self._begin)
        try:
            wait.until_ended()
        except BaseException:
            if (job, wait) in self._gathered:
                self._gathered.remove((job, wait))
            elif wait.ended and wait.error is None:
                spawn(self._unwanted, job)
            raise
        if wait.error is not None:
            raise wait.error

    def leave(self, job: J) -> None:
        """Have a job done soon, with others if there are any, and do not wait; nobody is told when that fails."""
        self._gathered.append((job, None))
        if not self._begun:
            self._linger()

    def _linger(self) -> None:
        if self._lingering is None:
            self._lingering = get_hub().loop.timer(LINGER, LINGER, ref=False)
        if not self._lingering.active:
            # A second start() would be due at once: the loop remembers when the timer was due last.
            self._lingering.again(self._lingered)

    def _lingered(self) -> None:
        self._lingering.stop()
        if not self._begun and self._gathered:
            self._begin()

    def _begin(self) -> None:
        if self._lingering is not None:
            self._lingering.stop()  # what lingers goes along
        batch, self._gathered = self._gathered, []
        self._begun, self._awaited = True, False
        jobs = [job for job, _ in batch]
        try:
            act, conclude = self._prepare(jobs) or Step(partial(self._work, jobs), _nothing)
            self._thread.begin(act, partial(self._end, batch, conclude))
        except Exception as error:
            self._end(batch, _nothing, error)

    def _end(
        self, batch: list[tuple[J, Wait | None]], conclude: Callable[[], None], error: Exception | None
    ) -> None:
        """Tell everybody. Nobody must wait for ever, whatever went wrong."""
        if error is None:
            try:
                conclude()
            except Exception as failure:
                error = failure
        if error is not None and not isinstance(error, SpoolError):
            error = SpoolError(f"the spool failed: {error!r}")
        self._begun = False
        if self._awaited:
            self._begin()  # so that it is done while these greenlets run
        elif self._gathered:
            self._linger()
        woken = 0
        for job, wait in batch:
            if wait is None:
                continue
            if not wait.given_up:
                wait.end(error, at_once=woken < WOKEN_AT_ONCE)
                woken += 1
            elif error is None:
                spawn(self._unwanted, job)


def _nothing() -> None:
    """What follows when the thread has done it all."""
