"""The process above the workers: binds, forks, and replaces a worker that dies. It holds no mail and runs no event loop."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gevent.monkey import get_original

from mta import paths, worker_preload
from mta.check.preflight import preflight
from mta.config import Config, ConfigError, Problem
from mta.config.schema import SmtpSettings
from mta.daemon import reopen
from mta.estate import Estate
from mta.inherited import Inherited
from mta.logger import Logger
from mta.logger_setup import configure_from
from mta.net.endpoint import EndpointError
from mta.outbound.share import Share
from mta.outbound.spool_errors import SpoolError
from mta.privileges import PrivilegesError
from mta.processes.account import states, status_line
from mta.processes.board import Board
from mta.processes.child import READY, Child, State, report
from mta.processes.errors import StartError, refuse
from mta.processes.fixed import Fixed
from mta.processes.reception import Client, Reception
from mta.processes.reload import KEPT, Reload
from mta.processes.replacements import Replacements
from mta.processes.signals import Signals
from mta.processes.systemd import Notifier
from mta.processes.title import MasterTitle
from mta.processes.workers import ORIGIN, Workers
from mta.version import VERSION
from mta.worker import Worker
from mta.worker_end import RETIRE_EXTRA

STOPS = (signal.SIGTERM, signal.SIGINT)
TAKEN = (signal.SIGCHLD, *STOPS, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
TICK = 5.0  # seconds between two looks at how the workers are
MARGIN = 15.0  # seconds that a worker may take to end besides what it may wait for clients and next hops
AT_ONCE = 5.0  # seconds for one that shall wait for nobody
STOPPING = "the server is stopping"

# The real one: that of gevent would make an event loop here, and the workers would have a copy of it.
_select = get_original("select", "select")


class Master:
    """One server of `count` workers. log_fd: where the log goes; log_file: its name, if it is ours to open again."""

    def __init__(self, install_dir: Path, count: int, log_fd: int = 1, log_file: Path | None = None) -> None:
        self._install_dir = install_dir
        self._count = count
        self._log_fd = log_fd
        self._log_file = log_file
        self._logger = Logger(colours=os.isatty(log_fd), write=self._write)
        self._notifier = Notifier()
        self._title = MasterTitle()
        self._replacements = Replacements()
        self._reload: Reload | None = None
        self._callers: list[Client] = []  # who waits for the reload that is under way
        self._next: list[Client] | None = None  # who waits for one more, for files have changed since
        self._last_reload: dict[str, object] = {}
        self._drain = 0.0
        self._stopping = False
        self._clean = True

    # -- starting

    def run(self, ready: Callable[[], None]) -> int:
        """Serve until a signal ends it; the exit status: 0 when every worker ended as it should. Raises StartError.

        ready: called when all workers are.
        """
        # From the beginning, for a thread that looks a name up has no other mask than we have then.
        self._signals = Signals(TAKEN)
        self._workers = Workers(Board(2 * self._count), self._signals, self._logger, self._work, self._leave)
        self._began = time.time()
        try:
            self._prepare()
        except (ConfigError, EndpointError, PrivilegesError, SpoolError) as error:
            raise StartError(str(error)) from error
        try:
            self._start()
        except StartError:
            self._stop(signal.SIGTERM)
            self._watch()
            raise
        ready()
        self._notifier.ready(status_line(self._workers, self._count))
        self._watch()
        return 0 if self._clean else 1

    def _prepare(self) -> None:
        """Everything that is there once for all workers."""
        config = self._read_config()
        self._fixed = Fixed.read(config)
        self._estate = Estate(self._install_dir, config, self._count, self._logger)
        self._reception = Reception(self._estate.control)

    def _read_config(self) -> Config:
        """The configuration as it is now, checked. Raises StartError."""
        problems: list[Problem] = []
        config = Config(self._install_dir, paths.ETC, problems.append)
        preflight(config, self._install_dir, problems.append)
        refuse([each for each in problems if each.fatal], self._install_dir)  # the rest tells a worker
        configure_from(self._logger, config)
        self._title.read(config.get("plugins", "list"))
        smtp = config.settings(SmtpSettings)
        self._patience = float(smtp.worker_timeout)
        # The longest that a worker may have read: those that are old keep what they have.
        self._drain = max(self._drain, float(smtp.force_shutdown_timeout))
        self._sigint_drains = smtp.graceful_shutdown
        return config

    def _start(self) -> None:
        """The first worker alone, for it may find out that nothing works, or prepare what all need; then the others."""
        self._begin([0])
        if not self._stopping and self._count > 1:
            worker_preload.load()  # the first has memory of its own for this, and serves earlier
            self._begin(range(1, self._count))
        if not self._stopping:
            self._logger.notice("workers started", {"count": len(self._workers)}, origin=ORIGIN)

    def _begin(self, slots: Iterable[int]) -> None:
        """Start workers and wait until each is ready. Raises StartError; returns earlier when a signal stops us."""
        starting = [self._workers.spawn(slot) for slot in slots]
        while not self._stopping and any(child.state is State.STARTING for child in starting):
            for child in self._workers.hear(self._wait(self._workers.reports())):
                if child.state is State.STARTING:
                    raise StartError(_why(child))
            self._heed_all()
            self._workers.force()

    # -- in a worker

    def _leave(self) -> None:
        self._estate.leave()
        self._reception.close()

    def _work(self, child: Child, predecessor: int) -> int:
        faulthandler.enable()  # SIGABRT is how we ask one that hangs where it is
        inherited = Inherited(
            Share(child.slot, self._count),
            self._estate.smtp,
            self._estate.http,
            self._estate.end,
            self._estate.queue,
            self._estate.identity,
            self._workers.board,
            child.line,
            predecessor,
        )
        worker = Worker(self._install_dir, self._log_fd, inherited, self._log_file)
        try:
            worker.start()
        except StartError as error:
            report(child.report, str(error).encode(errors="backslashreplace"))
            return 1
        worker.serve(lambda: report(child.report, READY))
        return 0

    # -- running

    def _watch(self) -> None:
        """Replace who dies until we are to stop, then wait until all have ended."""
        while len(self._workers) or not self._stopping:
            for child, status in self._workers.reap():
                self._bury(child, status)
            self._workers.force()
            if not self._stopping:
                self._look_after()
            if len(self._workers) or not self._stopping:
                self._listen()
        self._reception.close()

    def _look_after(self) -> None:
        self._workers.accuse(self._patience)
        self._replace()
        self._step()
        self._notifier.beat()
        self._notifier.status(status_line(self._workers, self._count))
        self._title.show(self._workers.board.sums())

    def _listen(self) -> None:
        """Wait until something happens, and hear what it is."""
        fds = self._wait([*self._workers.reports(), *self._reception.fds()])
        for child in self._workers.hear(fds):
            if self._reload and child.state is State.SERVING:
                self._reload.ready(child)
        for client, order in self._reception.receive():
            self._carry_out(client, order)
        self._heed_all()

    def _wait(self, fds: Iterable[int]) -> list[int]:
        times = [
            min(TICK, self._patience / 2 or TICK),
            self._notifier.pause,
            self._title.pause(),
            self._workers.seconds(),
            self._reception.seconds(),
            self._replacements.seconds(),
        ]
        return self._signals.wait(fds, min(seconds for seconds in times if seconds is not None))

    def _heed_all(self) -> None:
        while (info := self._signals.take()) is not None:
            self._heed(info)

    def _heed(self, info: signal.struct_siginfo) -> None:
        if info.si_signo == signal.SIGCHLD:
            return
        number = signal.Signals(info.si_signo)
        self._logger.notice(f"{number.name} received", origin=ORIGIN)
        if number in STOPS:
            # What the kernel sends, for the keys of a terminal, it sends to the workers as well.
            self._stop(number, info.si_code <= 0)
        elif number == signal.SIGUSR2:
            self._want_reload(None)
        elif info.si_code <= 0:
            self._reopen_log()
            self._workers.send(number)

    def _reopen_log(self) -> None:
        if self._log_file and (error := reopen(self._log_file)):
            self._logger.error(error, origin=ORIGIN)

    def _stop(self, number: signal.Signals, pass_on: bool = True) -> None:
        """Take no more clients, and tell the workers; a second time: at once."""
        again, self._stopping = self._stopping, True
        if not again:
            self._notifier.stopping()
            self._replacements.clear()
            self._estate.stop_listening()
            self._end_reload(STOPPING)
        waits = not again and (number == signal.SIGTERM or self._sigint_drains)
        self._workers.limit(self._drain + MARGIN if waits else AT_ONCE)
        if pass_on:
            self._workers.send(number)

    # -- a worker has ended

    def _bury(self, child: Child, status: int) -> None:
        if self._stopping:
            self._clean = self._clean and status in (0, *(-number for number in STOPS))
            return
        killed = f"killed by signal {_name(-status)}"
        how = killed if status < 0 else f"exited with status {status}"
        self._logger.notice(f"worker {child.slot} {how}", {"pid": child.pid}, origin=ORIGIN)
        if child.said and status:
            self._logger.error(f"worker {child.slot}: {child.said}", origin=ORIGIN)
        if self._reload and child is self._reload.starting:
            self._reload.failed(_why(child))
        if not self._workers.of(child.slot, State.STARTING, State.SERVING):
            self._replacements.put_off(child.slot, time.monotonic() - child.began, child.pause)

    def _replace(self) -> None:
        """Start those whose time has come: what the dead ones left in the queue is theirs now."""
        for slot, pause in self._replacements.due():
            try:
                child = self._workers.spawn(slot, pause)
            except StartError as error:
                self._logger.error(str(error), origin=ORIGIN)
                self._replacements.put_off(slot, 0.0, pause)
            else:
                self._title.replaced += 1
                self._logger.notice(f"worker {slot} replaced", {"pid": child.pid}, origin=ORIGIN)

    # -- replacing all of them

    def _want_reload(self, caller: Client | None) -> None:
        callers = [caller] if caller else []
        if self._stopping:
            self._answer(callers, STOPPING)
        elif self._reload:
            self._next = [*(self._next or []), *callers]
        else:
            self._begin_reload(callers)

    def _begin_reload(self, callers: list[Client]) -> None:
        self._callers = callers
        try:
            config = self._read_config()
        except (StartError, ConfigError) as error:
            self._end_reload(f"{error}{KEPT}")
            return
        self._kept = self._fixed.changed(Fixed.read(config))
        for name in self._kept:
            self._logger.warn(f"{name} has changed: that needs a restart", origin=ORIGIN)
        self._logger.notice("replacing the workers", origin=ORIGIN)
        self._notifier.reloading()
        self._reload = Reload(range(self._count), self, self._end_reload)

    def _step(self) -> None:
        if self._reload:
            try:
                self._reload.step()
            except StartError as error:
                self._reload.failed(str(error))
        elif self._next is not None:
            callers, self._next = self._next, None
            self._begin_reload(callers)

    def _end_reload(self, reason: str) -> None:
        """It is over, well or not."""
        running, self._reload = self._reload, None
        callers, self._callers = self._callers, []
        if self._stopping:
            callers, self._next = [*callers, *(self._next or [])], None
        elif reason:
            self._logger.error(f"reload failed: {reason}", origin=ORIGIN)
        else:
            self._logger.notice("all workers replaced", {"count": self._count}, origin=ORIGIN)
        if not self._stopping or running:
            self._last_reload = {"at": time.time(), "error": reason}
        if running and not self._stopping:
            self._notifier.ready(status_line(self._workers, self._count))
        self._answer(callers, reason)

    def _answer(self, callers: Iterable[Client], reason: str) -> None:
        for caller in callers:
            result = None if reason else {"workers": self._count, "needs_restart": self._kept}
            self._reception.answer(caller, result, reason)

    def start(self, slot: int) -> Child:
        """For Reload: fork a worker beside the one that serves."""
        self._replacements.cancel(slot)
        return self._workers.spawn(slot)

    def retire(self, slot: int, successor: Child) -> None:
        """For Reload: let all others of the slot finish."""
        for child in self._workers.of(slot):
            if child is not successor and child.state is not State.RETIRING:
                self._workers.retire(child, self._drain + RETIRE_EXTRA + MARGIN)
        self._logger.notice(f"worker {slot} replaced", {"pid": successor.pid}, origin=ORIGIN)

    def retiring(self, slot: int) -> bool:
        """For Reload: True while somebody of the slot finishes."""
        return bool(self._workers.of(slot, State.RETIRING))

    # -- what an operator asks

    def _carry_out(self, client: Client, order: dict[str, Any]) -> None:
        match order.get("do"):
            case "graceful":
                self._logger.notice("graceful restart asked for", origin=ORIGIN)
                self._want_reload(client)
            case "status":
                self._reception.answer(client, self._status())
            case _:
                self._reception.answer(client, error="no such order; there are graceful, status")

    def _status(self) -> dict[str, object]:
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "nodes": self._count,
            "started": self._began,
            "stopping": self._stopping,
            "reload": self._last_reload,
            "ended": self._workers.board.ended(),
            "workers": states(self._workers),
        }

    def _write(self, line: str) -> None:
        """Log, unless nobody reads: workers must be replaced whatever becomes of the log."""
        data = f"{line}\n".encode(errors="backslashreplace")[-select.PIPE_BUF :]
        with suppress(OSError):
            if _select([], [self._log_fd], [], 0)[1]:
                os.write(self._log_fd, data)


def _why(child: Child) -> str:
    return child.said or f"worker {child.slot} ended before it was ready"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)  # a real-time signal
