"""The children of a master: forks them, hears of them, ends them. What they do is another's business."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NoReturn

import gevent
from gevent.monkey import get_original

from mta.logger import Logger
from mta.processes.board import Board
from mta.processes.child import Child, State, report
from mta.processes.errors import StartError
from mta.processes.handover import Handovers
from mta.processes.signals import Signals

ORIGIN = "master"
START_SECONDS = 120.0  # for a worker to be ready
SHORTEST = (
    3.0  # seconds; workers give a sign of life every second, or a little later when the machine is busy
)
LAST_WORDS = 5.0  # seconds for one that hangs to say where
RETIRE = signal.SIGRTMIN  # a master to a worker; nothing else that is sent to a group of processes means that

# The real ones: those of gevent would make an event loop here, and the workers would have a copy of it.
_fork: Callable[[], int] = get_original("os", "fork")
_waitpid: Callable[[int, int], tuple[int, int]] = get_original("os", "waitpid")
_close: Callable[[int], None] = get_original("os", "close")

Work = Callable[[Child, int], int]
"""What a worker does in its process, told about itself and the descriptor of its predecessor (-1: none); its exit status."""


class Workers:
    """All workers that live. leave: closes what a child has inherited, and must not keep."""

    def __init__(
        self, board: Board, signals: Signals, logger: Logger, work: Work, leave: Callable[[], None]
    ) -> None:
        self.board = board
        self._signals = signals
        self._logger = logger
        self._work = work
        self._leave = leave
        self._handovers = Handovers()
        self._children: dict[int, Child] = {}

    def __len__(self) -> int:
        return len(self._children)

    def all(self) -> list[Child]:
        """Those that live, in the order in which they began."""
        return list(self._children.values())

    def of(self, slot: int, *states: State) -> list[Child]:
        """Those of a slot; with states: those that are in one of them."""
        return [each for each in self.all() if each.slot == slot and (not states or each.state in states)]

    # -- starting

    def spawn(self, slot: int, pause: float = 0.0) -> Child:
        """Fork a worker. If others of its slot live, it leaves the queue alone until they have ended. Raises StartError."""
        line = self.board.take(slot)
        others = [child.pid for child in self.of(slot)]
        predecessor = self._handovers.await_end(others) if others else -1
        reader, writer = os.pipe()
        now = time.monotonic()
        child = Child(0, slot, reader, line, now, pause, until=now + START_SECONDS)
        child.why = f"was not ready within {START_SECONDS:g} s"
        gc.freeze()  # what is loaded stays in memory that all share
        try:
            child.pid = _fork()
        except OSError as error:
            child.close()
            self.board.free(line)
            raise StartError(f"cannot start worker {slot}: {error.strerror}") from error
        else:
            if child.pid == 0:
                self._become(child, writer, predecessor)
            self._children[child.pid] = child
            return child
        finally:
            _close(writer)
            if predecessor >= 0:
                _close(predecessor)

    def _become(self, child: Child, writer: int, predecessor: int) -> NoReturn:
        """What the child does. It never returns into the code of the master."""
        status = 1
        try:
            _take_signals()
            self._signals.leave()
            gevent.reinit()  # there is no event loop yet, unless a name had to be looked up
            self._leave()
            self._handovers.leave()
            for each in (child, *self._children.values()):
                each.close()
            child.report = writer
            status = self._work(child, predecessor)
        except BaseException:
            traceback.print_exc()
            report(child.report, f"worker {child.slot} can not start, see the traceback".encode())
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def reports(self) -> list[int]:
        """Descriptors to wait for before hear()."""
        return [child.report for child in self._children.values() if child.report >= 0]

    def hear(self, fds: Iterable[int]) -> list[Child]:
        """Of the descriptors, read the reports; the workers that have made one."""
        heard = [child for child in self._children.values() if child.report in fds and child.report >= 0]
        for child in heard:
            child.hear()
        return heard

    # -- ending

    def send(self, number: signal.Signals, children: Iterable[Child] | None = None) -> None:
        """Send a signal to workers, or to all of them."""
        for child in self.all() if children is None else children:
            os.kill(child.pid, number)  # it is there, if only as a zombie: nobody but we reaps it

    def retire(self, child: Child, seconds: float) -> None:
        """Let a worker take no more clients, and finish within so many seconds."""
        # One that is not ready has no handler yet, and nothing to finish.
        number = RETIRE if child.state is State.SERVING else signal.SIGTERM
        child.state = State.RETIRING
        child.until = time.monotonic() + seconds
        child.why = f"had not finished within {seconds:g} s"
        os.kill(child.pid, number)

    def limit(self, seconds: float) -> None:
        """All have been told to end: nobody takes longer than that."""
        for child in self.all():
            child.until = time.monotonic() + seconds
            child.why = f"had not ended within {seconds:g} s"

    def accuse(self, silence: float) -> None:
        """End those that have done nothing for so many seconds, after they have told where they are. 0: nobody."""
        for child in self.all() if silence else ():
            silent = self.board.silent_for(child.line)
            if child.until is None and silent is not None and silent > max(silence, SHORTEST):
                self._logger.crit(
                    f"worker {child.slot} hangs for {silent:.0f} s", {"pid": child.pid}, origin=ORIGIN
                )
                child.until = time.monotonic() + LAST_WORDS
                child.why = "hangs"
                os.kill(child.pid, signal.SIGABRT)

    def force(self) -> None:
        """Kill those whose time is up."""
        now = time.monotonic()
        for child in self.all():
            if child.until is not None and child.until <= now:
                child.until = None
                child.said = child.said or child.why
                self._logger.crit(
                    f"worker {child.slot} killed: it {child.why}", {"pid": child.pid}, origin=ORIGIN
                )
                os.kill(child.pid, signal.SIGKILL)

    def seconds(self) -> float | None:
        """When force() has something to do; None: not."""
        ends = [child.until for child in self._children.values() if child.until is not None]
        return max(min(ends) - time.monotonic(), 0.0) if ends else None

    def reap(self) -> list[tuple[Child, int]]:
        """Those that have ended, with their exit status, a signal as a negative number."""
        found = []
        for child in self.all():
            ended, status = _waitpid(child.pid, os.WNOHANG)
            if ended:
                found.append((child, os.waitstatus_to_exitcode(status)))
                self._forget(child)
        return found

    def _forget(self, child: Child) -> None:
        del self._children[child.pid]
        self.board.free(child.line)
        self._handovers.ended(child.pid)
        if child.report >= 0:
            os.set_blocking(child.report, False)  # something that it has forked may hold the other end
            child.hear()


def _take_signals() -> None:
    """A child takes them as any process does, until it has handlers of its own; most mean nothing to it yet."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, RETIRE):
        signal.signal(number, signal.SIG_IGN)
