"""The process above the workers: binds, forks, and replaces a worker that dies. It holds no mail and runs no event loop."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import gevent
from gevent.monkey import get_original

from mta import paths
from mta.check import preflight
from mta.check.preflight import HTTP_PORT
from mta.config import Config, ConfigError, Problem
from mta.config.kinds import CPUS
from mta.config.schema import QUEUE_DIR, HttpSettings, SmtpSettings
from mta.control import address as control_address
from mta.daemon import DaemonError, daemonize
from mta.inherited import Inherited
from mta.logger import Logger
from mta.logger_setup import configure_from
from mta.net.endpoint import Bound, EndpointError, bind_all
from mta.outbound.journal_replay import replay_strangers
from mta.outbound.share import Share
from mta.outbound.spool_directory import open_directory, state_directory
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_errors import SpoolError
from mta.privileges import PrivilegesError, hand_over, identity
from mta.worker import StartError, Worker, refuse

ORIGIN = "master"
SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STOPS = (signal.SIGTERM, signal.SIGINT)
READY = b"ok\n"
MAX_REPORT = 4096  # bytes; a pipe takes so many at once
LOOK = 0.1  # seconds between two looks for signals while workers start
LONG_LIFE = 10.0  # seconds; a worker that lived so long is replaced at once
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LONGEST_WAIT = 3600.0

# The real ones: those of gevent would make an event loop here, and the workers would have a copy of it.
_fork: Callable[[], int] = get_original("os", "fork")
_waitpid: Callable[[int, int], tuple[int, int]] = get_original("os", "waitpid")
_close: Callable[[int], None] = get_original("os", "close")
_select = get_original("select", "select")


Tell = Callable[[str], None]
"""Called once: with "" when the server is ready, or with the line that says why it can not start."""


def run(install_dir: Path) -> int:
    """Serve one installation until a signal ends it, or put it into the background.

    The exit status: 1 with one line on stderr if it can't start.
    """
    smtp = _settings(install_dir)
    if not smtp.daemonize:
        return serve(install_dir, _complain)
    files = (install_dir / smtp.daemon_log_file, install_dir / smtp.daemon_pid_file)
    try:
        return daemonize(partial(serve, install_dir), *files)
    except DaemonError as error:
        _complain(str(error))
        return 1


def serve(install_dir: Path, tell: Tell) -> int:
    """Serve one installation until a signal ends it; the exit status."""
    try:
        count = workers_of(install_dir)
        if count:
            return Master(install_dir, count).run(lambda: tell(""))
        worker = Worker(install_dir)
        worker.start()
    except StartError as error:
        tell(str(error))
        return 1
    tell("")
    worker.serve()
    return 0


def _complain(error: str) -> None:
    if error:
        print(f"haraka: {error}", file=sys.stderr)


def _settings(install_dir: Path) -> SmtpSettings:
    """smtp.ini; what is wrong there is told by who starts."""
    try:
        return Config(install_dir, paths.ETC, lambda problem: None).settings(SmtpSettings)
    except ConfigError:
        return SmtpSettings()


def workers_of(install_dir: Path) -> int:
    """How many workers smtp.ini asks for, 0 for one process without a master. What is wrong there is told by who starts."""
    nodes = _settings(install_dir).nodes
    return len(os.sched_getaffinity(0)) if nodes == CPUS else nodes


def pause_after(lived: float, last: float) -> float:
    """Seconds to wait before a worker is replaced that lived so long; last: the wait before it was started itself."""
    return 0.0 if lived >= LONG_LIFE else min(max(2 * last, FIRST_PAUSE), LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Child:
    """A worker that was forked. report: where it says that it is ready, or why it can not start.

    began: by time.monotonic(), after a pause of so many seconds.
    """

    pid: int
    slot: int
    report: int
    began: float
    pause: float = 0.0


class Master:
    """One server of `count` workers; log_fd: where the log goes."""

    def __init__(self, install_dir: Path, count: int, log_fd: int = 1) -> None:
        self._install_dir = install_dir
        self._count = count
        self._log_fd = log_fd
        self._logger = Logger(colours=os.isatty(log_fd), write=self._write)
        self._children: dict[int, Child] = {}  # by process
        self._due: dict[int, tuple[float, float]] = {}  # by slot: when it is replaced, after what pause
        self._disk = Disk()
        self._smtp: list[Bound] = []
        self._http: list[Bound] = []
        self._stopping = False
        self._clean = True

    # -- starting

    def run(self, ready: Callable[[], None]) -> int:
        """Serve until a signal ends it; the exit status: 0 when every worker ended as it should. Raises StartError.

        ready: called when all workers are.
        """
        # Taken one by one with sigtimedwait: none interrupts anything, none is lost. From the beginning, for a thread that
        # looks a name up has no other mask than we have then.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
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
        self._watch()
        return 0 if self._clean else 1

    def _prepare(self) -> None:
        """Everything that is there once for all workers."""
        problems: list[Problem] = []
        config = Config(self._install_dir, paths.ETC, problems.append)
        configure_from(self._logger, config)
        preflight(config, self._install_dir, problems.append)
        refuse(
            [problem for problem in problems if problem.fatal], self._install_dir
        )  # the rest tells a worker
        queue = self._install_dir / config.value(QUEUE_DIR)
        open_directory(self._disk, queue)
        self._replay_strangers()
        smtp = config.settings(SmtpSettings)
        if to := identity(smtp.user, smtp.group):
            hand_over((queue, state_directory(queue)), to)
        self._clear_control_sockets(state_directory(queue))
        self._smtp = bind_all(smtp.listen)
        self._http = bind_all(config.settings(HttpSettings).listen, HTTP_PORT)
        self._end, self._alive = os.pipe()  # nobody ever writes: it ends when we do

    def _replay_strangers(self) -> None:
        try:
            for step in replay_strangers(self._disk, self._count):
                for problem in step.problems:
                    self._logger.error(problem, origin=ORIGIN)
        except SpoolError as error:
            self._logger.crit(f"{error}; what is in it waits for the next start", origin=ORIGIN)

    def _clear_control_sockets(self, state: Path) -> None:
        try:
            control_address.clear(state)
        except OSError as error:
            raise StartError(f"cannot make control sockets in {state}: {error.strerror}") from error

    def _start(self) -> None:
        """The first worker alone, for it may find out that nothing works, or prepare what all need; then the others."""
        self._begin([0])
        if not self._stopping:
            self._begin(range(1, self._count))
        if not self._stopping:
            self._logger.notice("workers started", {"count": len(self._children)}, origin=ORIGIN)

    def _begin(self, slots: Iterable[int]) -> None:
        """Start workers and wait until each is ready. Raises StartError; returns earlier when a signal stops us."""
        starting = {child.report: child for child in map(self._spawn, slots)}
        while starting and not self._stopping:
            ready, _, _ = _select(list(starting), [], [], LOOK)
            for report in ready:
                self._check(starting.pop(report))
            self._heed(signal.sigtimedwait(SIGNALS, 0))

    def _check(self, child: Child) -> None:
        said = os.read(child.report, MAX_REPORT)
        if said != READY:
            raise StartError(said.decode().strip() or f"worker {child.slot} ended before it was ready")

    # -- workers

    def _spawn(self, slot: int, pause: float = 0.0) -> Child:
        reader, writer = os.pipe()
        gc.freeze()  # what is loaded stays in memory that all share
        try:
            pid = _fork()
        except OSError as error:
            _close(reader)
            _close(writer)
            raise StartError(f"cannot start worker {slot}: {error.strerror}") from error
        if pid == 0:
            self._become_worker(slot, writer)
        _close(writer)
        os.set_blocking(reader, False)
        child = self._children[pid] = Child(pid, slot, reader, time.monotonic(), pause)
        return child

    def _become_worker(self, slot: int, report: int) -> NoReturn:
        """What the child does. It never returns into the code of the master."""
        status = 1
        try:
            _take_signals()
            gevent.reinit()  # there is no event loop yet, unless a name had to be looked up
            _close(self._alive)
            for child in self._children.values():
                _close(child.report)
            status = self._work(slot, report)
        except BaseException:
            traceback.print_exc()
            _report(report, f"worker {slot} can not start, see the traceback".encode())
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _work(self, slot: int, report: int) -> int:
        share = Share(slot, self._count)
        worker = Worker(self._install_dir, self._log_fd, Inherited(share, self._smtp, self._http, self._end))
        try:
            worker.start()
        except StartError as error:
            _report(report, str(error).encode(errors="backslashreplace"))
            return 1
        _report(report, READY)
        worker.serve()
        return 0

    # -- running

    def _watch(self) -> None:
        """Replace who dies until we are to stop, then wait until all have ended."""
        while self._children or not self._stopping:
            self._reap()
            self._replace()
            if self._children or not self._stopping:
                self._heed(signal.sigtimedwait(SIGNALS, self._seconds()))

    def _seconds(self) -> float:
        now = time.monotonic()
        return min((max(due - now, 0.0) for due, _ in self._due.values()), default=LONGEST_WAIT)

    def _heed(self, info: signal.struct_siginfo | None) -> None:
        if info is None or info.si_signo == signal.SIGCHLD:
            return
        number = signal.Signals(info.si_signo)
        self._logger.notice(f"{number.name} received", origin=ORIGIN)
        if number in STOPS:
            # What the kernel sends, for the keys of a terminal, it sends to the workers as well.
            self._stop(number if info.si_code <= 0 else None)
        elif info.si_code <= 0:
            self._pass_on(number)

    def _stop(self, number: signal.Signals | None) -> None:
        """Take no more clients, and tell the workers."""
        self._stopping = True
        self._due.clear()
        for _, sock in (*self._smtp, *self._http):
            sock.close()
        if number is not None:
            self._pass_on(number)

    def _pass_on(self, number: signal.Signals) -> None:
        for pid in self._children:
            os.kill(pid, number)  # it is there, if only as a zombie: nobody but we reaps it

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = _waitpid(pid, os.WNOHANG)
            if ended:
                self._bury(self._children.pop(pid), os.waitstatus_to_exitcode(status))

    def _bury(self, child: Child, status: int) -> None:
        said = _rest_of(child.report)
        if self._stopping:
            self._clean = self._clean and status in (0, *(-number for number in STOPS))
            return
        how = (
            f"killed by signal {signal.Signals(-status).name}"
            if status < 0
            else f"exited with status {status}"
        )
        self._logger.notice(f"worker {child.slot} {how}", {"pid": child.pid}, origin=ORIGIN)
        if said not in (b"", READY):
            self._logger.error(f"worker {child.slot}: {said.decode().strip()}", origin=ORIGIN)
        self._put_off(child.slot, pause_after(time.monotonic() - child.began, child.pause))

    def _put_off(self, slot: int, pause: float) -> None:
        self._due[slot] = time.monotonic() + pause, pause

    def _replace(self) -> None:
        """Start those whose time has come: what the dead ones left in the queue is theirs now."""
        now = time.monotonic()
        for slot, (due, pause) in list(self._due.items()):
            if due > now:
                continue
            del self._due[slot]
            try:
                child = self._spawn(slot, pause)
            except StartError as error:
                self._logger.error(str(error), origin=ORIGIN)
                self._put_off(slot, pause_after(0.0, pause))
            else:
                self._logger.notice(f"worker {slot} replaced", {"pid": child.pid}, origin=ORIGIN)

    def _write(self, line: str) -> None:
        """Log, unless nobody reads: workers must be replaced whatever becomes of the log."""
        data = f"{line}\n".encode(errors="backslashreplace")[-select.PIPE_BUF :]
        with suppress(OSError):
            if _select([], [self._log_fd], [], 0)[1]:
                os.write(self._log_fd, data)


def _take_signals() -> None:
    """A child takes them as any process does, until it has handlers of its own; a flush means nothing to it yet."""
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _report(fd: int, text: bytes) -> None:
    with suppress(OSError):  # the master has ended
        os.write(fd, text[:MAX_REPORT])
        _close(fd)


def _rest_of(report: int) -> bytes:
    """What a child that has ended said last and nobody has read."""
    try:
        return os.read(report, MAX_REPORT)
    except OSError:
        return b""
    finally:
        _close(report)
