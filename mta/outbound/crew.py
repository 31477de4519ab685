"""Greenlets that do jobs. One that has finished waits for the next: a new one takes memory from the system, and 40 us."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent import get_hub, getcurrent
from gevent.pool import Group

if TYPE_CHECKING:
    from mta.outbound.job import Job

MAX_IDLE = 50


class Crew:
    """work: does one job, and further ones if it likes; raises nothing."""

    __slots__ = ("_ending", "_group", "_idle", "_loop", "_work")

    def __init__(self, work: Callable[[Job], None]) -> None:
        self._work = work
        self._group = Group()
        self._idle: list[Any] = []
        self._ending = False
        self._loop = get_hub().loop

    def give(self, job: Job) -> None:
        """Have somebody do the job; returns at once."""
        if self._idle:
            self._loop.run_callback(self._idle.pop().switch, job)
        else:
            self._group.spawn(self._serve, job)

    def end(self, drain_seconds: float) -> None:
        """Let what is under way finish for so many seconds, then end it."""
        self._ending = True
        idle, self._idle = self._idle, []
        for each in idle:
            self._loop.run_callback(each.switch, None)
        self._group.join(timeout=drain_seconds)
        self._group.kill()

    def _serve(self, job: Job | None) -> None:
        while job is not None:
            self._work(job)
            if self._ending or len(self._idle) >= MAX_IDLE:
                return
            self._idle.append(getcurrent())
            job = get_hub().switch()
