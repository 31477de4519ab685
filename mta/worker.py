"""The composition root: makes one server of all the rooms, starts it, and stops it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

from mta import memory, paths
from mta.check import preflight
from mta.check.preflight import HTTP_PORT
from mta.config import Config, ConfigError, Problem
from mta.config.schema import ME, QUEUE_DIR, HttpSettings
from mta.control.orders import Orders
from mta.control.queue import QueueControl
from mta.daemon import reopen
from mta.event_setup import open_events
from mta.events import Events
from mta.inbound.listener import Listener
from mta.inbound.service import Service
from mta.logger import ERROR, NOTICE, WARN
from mta.logger_setup import configure_from, open_logger
from mta.net.dns import Resolver
from mta.net.endpoint import EndpointError, bind_all
from mta.net.tls_server import TlsServer
from mta.outbound.service import Outbound
from mta.outbound.share import EVERYTHING
from mta.outbound.smarthost import SmarthostError
from mta.outbound.spool import Spool, SpoolError
from mta.outbound.spool_directory import state_directory
from mta.outbound.suspensions import Suspensions, SuspensionsError
from mta.outbound.tls_diary import TlsDiary
from mta.outbound.tls_setup import open_policies
from mta.plugin.errors import PluginError
from mta.plugin.loader import load_plugins
from mta.plugin.refusal import lines_of
from mta.plugin.runner import HookRunner, TimeoutAction
from mta.plugin.server import Server
from mta.plugin.verdict import REJECTIONS
from mta.plugin.watchdog import Watchdog
from mta.privileges import PrivilegesError, become, hand_over, identity
from mta.processes.errors import StartError, refuse
from mta.processes.predecessor import Predecessor
from mta.processes.systemd import Notifier, passed_sockets
from mta.processes.workers import RETIRE
from mta.version import VERSION
from mta.worker_control import WorkerControl
from mta.worker_http import WorkerHttp
from mta.worker_pulse import WorkerPulse
from mta.worker_settings import WorkerSettings
from mta.worker_signals import WorkerSignals

if TYPE_CHECKING:
    from mta.inherited import Inherited
    from mta.log_writer import LogWriter
    from mta.logger import Logger
    from mta.net.endpoint import Bound
    from mta.plugin.hooks import Plugin

ORIGIN = "server"
READABLE = 1  # libev's EV_READ
RETIRE_EXTRA = 5.0  # seconds for deliveries, when sessions have taken all the time there was
TLS_REPORTS = "tls-rpt"
NO_CERTIFICATE = "no usable certificate, so no TLS; haraka tls self-signed -c {} makes one to begin with"
NO_MASTER = "SIGUSR2 replaces workers, and here are none: set nodes in smtp.ini to 1 or more, and start again"


class Worker:
    """One server of one installation directory. Several may live in one process.

    inherited: what comes from the master; None when there is none. log_file: opened again when the log is rotated, None: the
    log is not ours to open. notifier: told how we are. start() raises StartError and leaves nothing behind; stop() may be called from any greenlet.
    """

    def __init__(
        self,
        install_dir: Path,
        log_fd: int = 1,
        inherited: Inherited | None = None,
        log_file: Path | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.install_dir = install_dir
        self._inherited = inherited
        self._share = inherited.share if inherited else EVERYTHING
        self._predecessor = Predecessor(inherited.predecessor if inherited else -1)
        self.addresses: list[tuple[str, int]] = []
        self._log_fd = log_fd
        self._log_file = log_file
        self._undo: list[Callable[[], object]] = []
        self._server = Server()
        self._stopping = Event()  # or retiring
        self._retiring = False
        self._drain_seconds = 0.0
        self._started = False
        self._problems: list[Problem] = []
        self._notifier = notifier

    # -- starting -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the configuration, load plugins, lock the spool, listen, deliver. Raises StartError."""
        try:
            self._start()
        except (
            ConfigError,
            EndpointError,
            PluginError,
            PrivilegesError,
            SmarthostError,
            SpoolError,
            SuspensionsError,
        ) as error:
            self._roll_back()
            raise StartError(str(error)) from error
        except BaseException:
            self._roll_back()
            raise

    def _start(self) -> None:
        self.logger, self._writer = self._open_log()
        self.config = Config(self.install_dir, paths.ETC, self._notice)
        configure_from(self.logger, self.config)
        self._raise_limits()
        self._settings = WorkerSettings(self.config, self._share)
        self._smtp = self._settings.smtp
        self._server.public_ip = self._smtp.public_ip
        self._drain_seconds = float(self._smtp.force_shutdown_timeout)
        self.me = self.config.value(ME) or socket.gethostname()
        preflight(self.config, self.install_dir, self._notice)
        refuse(self._problems, self.install_dir)
        self._bind()
        self._switch_user()
        self._open_events()
        spool = self._open_spool()
        self.watchdog = Watchdog(self._smtp.watchdog_ms / 1000, self.logger, self._writer.write)
        self.hooks = HookRunner(self._load_plugins(), self.logger, self._timeout_action())
        self.tls = TlsServer(self.config, self.logger)
        refuse(self._problems, self.install_dir)
        self.resolver = Resolver()
        self._control = WorkerControl(
            state_directory(spool.directory), self._share, alone=self._inherited is None
        )
        self._undo.append(self._control.stop)
        self.outbound = self._make_outbound(spool)
        self._server.on_mail(self.outbound)
        self._server.outbound = QueueControl(spool.directory, state_directory(spool.directory))
        self.service = self._make_service()
        self._listener = Listener([sock for _, sock in self._bound], self.service)
        self._pulse = self._make_pulse()
        self._server.on_figures(self._pulse.figures, self._pulse.sums)
        self._run_init_hooks()
        self.logger.plugins_ready(self.hooks.on_record if self.hooks.has("log") else None)
        self._begin()

    def _open_log(self) -> tuple[Logger, LogWriter]:
        logger, writer = open_logger(self._log_fd, shared=self._inherited is not None)
        self._undo.append(writer.close)
        return logger, writer

    def _raise_limits(self) -> None:
        files = memory.raise_descriptor_limit()
        if files < memory.ENOUGH_DESCRIPTORS and self._is_first:
            self.logger.warn(
                f"only {files} files may be open (ulimit -n), so only so many clients can be served",
                origin=ORIGIN,
            )

    @property
    def _is_first(self) -> bool:
        """What is the same for all workers is said, or done, by the first one alone."""
        return self._share.slot == 0

    def _notice(self, problem: Problem) -> None:
        """Configuration problems: before the start is done a fatal one stops it, later it is only told."""
        if problem.fatal and not self._started:
            self._problems.append(problem)
        elif self._is_first:
            self.logger.log(ERROR if problem.fatal else WARN, str(problem), origin="config")

    def _timeout_action(self) -> TimeoutAction:
        return "continue" if self._smtp.plugin_timeout_action == "continue" else "defer"

    def _bind(self) -> None:
        """Listen for mail and for HTTP; nobody accepts there before all is ready."""
        if self._inherited:
            self._bound, http = self._inherited.smtp, self._inherited.http
        else:
            smtp, http = passed_sockets()
            self._bound = self._owned(smtp or bind_all(self._smtp.listen))
            http = self._owned(http or bind_all(self.config.settings(HttpSettings).listen, HTTP_PORT))
        names = [sock.getsockname() for _, sock in self._bound]
        self.addresses = [name[:2] for name in names if isinstance(name, tuple)]
        self._http = WorkerHttp(http, self.config, self.install_dir, self.logger, self.me)
        self._undo.append(self._http.stop)
        self._server.http = self._http.site
        self.http_addresses = self._http.addresses

    def _owned(self, bound: list[Bound]) -> list[Bound]:
        self._undo.extend(sock.close for _, sock in bound)
        return bound

    def _switch_user(self) -> None:
        to = self._inherited.identity if self._inherited else identity(self._smtp.user, self._smtp.group)
        if to is None:
            return
        if not self._inherited:
            queue = self._queue_directory()
            hand_over((queue, state_directory(queue)), to)
        become(to)
        if self._is_first:
            self.logger.notice(f"serving as user {to.user}", {"uid": to.uid, "gid": to.gid}, origin=ORIGIN)

    def _open_events(self) -> None:
        self._events = Events(self.me, self._share.slot)
        self._event_file = open_events(self.config, self.install_dir, self._events, self.logger)
        self._undo.append(self._event_file.close)
        self._server.on_reopen(self._event_file.reopen)

    def _queue_directory(self) -> Path:
        return self._inherited.queue if self._inherited else self.install_dir / self.config.value(QUEUE_DIR)

    def _open_spool(self) -> Spool:
        spool = Spool(
            self._queue_directory(),
            self.logger,
            hostname=socket.gethostname(),
            share=self._share,
            journal=self._settings.outbound.spool,
        )
        spool.open(locked=self._inherited is not None)
        self._undo.append(spool.close)
        return spool

    def _load_plugins(self) -> list[Plugin]:
        return load_plugins(
            self.config.get("plugins", "list"),
            self.config,
            self.logger,
            self._server,
            [self.install_dir / "plugins"],
            self._smtp.ignore_bad_plugins,
        )

    def _run_init_hooks(self) -> None:
        if self._is_first:
            self._run_init_hook("init_master")
        if self._inherited:
            self._run_init_hook("init_child")

    def _run_init_hook(self, hook: str) -> None:
        verdict = self.hooks.run(hook, self._server)
        if verdict.code in REJECTIONS:
            said = " ".join(lines_of(verdict.message))
            why = f": {said}" if said else ""
            raise StartError(f"plugin {verdict.plugin} does not let the server start{why}")

    def _make_outbound(self, spool: Spool) -> Outbound:
        settings, state = self._settings, state_directory(spool.directory)
        return Outbound(
            limits=settings.limits,
            suspensions=Suspensions(state),
            spool=spool,
            resolver=self.resolver,
            runner=self.hooks,
            logger=self.logger,
            settings=settings.outbound,
            me=self.me,
            read_template=lambda name: self.config.get(name, "data"),
            bounce_rules=settings.bounce_rules,
            tls=open_policies(self.config, self.resolver, self.logger, settings.outbound.security, state),
            diary=TlsDiary(state / TLS_REPORTS / str(self._share.slot)),
            events=self._events,
            routes=settings.routes,
            pools=settings.pools,
        )

    def _make_service(self) -> Service:
        return Service(
            me=self.me,
            version=VERSION,
            smtp=self._smtp,
            settings=self._settings.connection,
            hooks=self.hooks,
            logger=self.logger,
            resolver=self.resolver,
            submit=self.outbound.submit,
            tls=self.tls,
            events=self._events,
        )

    def _make_pulse(self) -> WorkerPulse:
        board, line = (self._inherited.board, self._inherited.line) if self._inherited else (None, 0)
        return WorkerPulse(board, line, self._notifier, self._listener, self.service, self.outbound)

    def _about(self) -> dict[str, object]:
        """What `haraka status` tells of the process."""
        listening = [str(endpoint) for endpoint, _ in self._bound]
        return {
            **self._pulse.about(),
            "slot": self._share.slot,
            "listening": listening,
            "busy": self.watchdog.holds.as_values(),
        }

    def _begin(self) -> None:
        """Everything is in place: from here on nothing can fail for the operator's reasons."""
        # Who suspends a site now waits on our socket; who did so before has written it to the file that is read next.
        self._control.take_over()
        self.outbound.read_suspensions()
        self.config.watch()
        self._undo.append(self.config.close)
        self._undo.append(self.hooks.shutdown)
        self._settings.follow(self.service, self.outbound)
        self._undo.append(self._settings.leave)
        self.outbound.start(
            self._predecessor if self._inherited and self._inherited.predecessor >= 0 else None
        )
        self._undo.append(self._predecessor.close)
        self._undo.append(self._listener.stop)  # a watcher of a closed socket would abort the process
        self._listener.start()
        self._control.start(Orders(self.outbound, self._about), self.logger)
        self._undo.append(self._control.stop)
        self._begin_http()
        self._pulse.start()
        self._undo.append(self._pulse.stop)
        self._started = True
        memory.settle()
        self.watchdog.start()
        self._undo.append(self.watchdog.stop)
        for endpoint, _ in self._bound if self._is_first else ():
            self.logger.log(NOTICE, f"Listening on {endpoint}", origin=ORIGIN)
        if self._is_first and not self.tls.usable and self._wants_tls():
            self.logger.error(NO_CERTIFICATE.format(self.install_dir), origin=ORIGIN)

    def _begin_http(self) -> None:
        places = self._http.begin(lambda: self.hooks.run("init_http", self._server))
        if places:
            self.hooks.run("init_wss", self._server)
        for place in places if self._is_first else ():
            self.logger.log(NOTICE, f"Listening on {place} for HTTP", origin=ORIGIN)

    def _wants_tls(self) -> bool:
        """True when somebody expects TLS: the operator lists the plugin, or listens on a port for it."""
        ports = {port for _, port in self.addresses}
        return "tls" in self.config.get("plugins", "list") or not ports.isdisjoint(self._smtp.smtps_port)

    def _roll_back(self) -> None:
        if hasattr(self, "logger"):
            self.logger.plugins_ready(None)
        while self._undo:
            self._undo.pop()()

    # -- running ------------------------------------------------------------------------------------------------------

    def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Block until stop() is called, or a signal asks for it. ready: called when signals are heeded."""
        signals = WorkerSignals(
            {
                SIGTERM: partial(self._on_end, "SIGTERM", graceful=True),
                SIGINT: partial(self._on_end, "SIGINT", graceful=self._smtp.graceful_shutdown),
                SIGHUP: self._on_hangup,
                SIGUSR1: self._on_reopen,
                SIGUSR2: self._on_reload,
                RETIRE: self._on_retire,
            },
            has_master=self._inherited is not None,
        )
        self._watch_master()
        if self._notifier is not None:
            self._notifier.ready(self._pulse.status_line())
        ready()
        self._stopping.wait()
        if self._retiring:
            self._finish()
        if self._notifier is not None:
            self._notifier.stopping()
        signals.leave()
        self.stop()

    def _watch_master(self) -> None:
        """Stop when the master has ended: nobody would replace us, and the next master must wait until we are gone."""
        if self._inherited is None:
            return
        watcher = gevent.get_hub().loop.io(self._inherited.master, READABLE)

        def ended() -> None:
            watcher.stop()
            self.logger.error("the master has ended", origin=ORIGIN)
            self._stopping.set()

        watcher.start(ended)

    def _on_end(self, name: str, graceful: bool) -> None:
        again = self._stopping.is_set()
        if again and self._inherited:
            return  # the same signal, passed on
        self.logger.notice(f"{name} received", origin=ORIGIN)
        if again or not graceful:
            # The second signal, or one that does not wait: what is under way is cut.
            self._drain_seconds = 0.0
        self._stopping.set()

    def _on_hangup(self) -> None:
        self.logger.notice("Flushing the temp fail queue", origin=ORIGIN)
        self.outbound.flush()
        self._on_reopen()

    def _on_reopen(self) -> None:
        """Whoever rotates logs has moved the files."""
        if self._log_file and (error := reopen(self._log_file)):
            self.logger.error(error, origin=ORIGIN)
        for failure in self._server.reopen():
            self.logger.error(f"cannot reopen a log: {type(failure).__name__}: {failure}", origin=ORIGIN)

    def _on_reload(self) -> None:
        if self._inherited is None:
            self.logger.warn(NO_MASTER, origin=ORIGIN)

    def _on_retire(self) -> None:
        self._retiring = True
        self._stopping.set()

    def _finish(self) -> None:
        """Another one serves already: take no more clients, and let those that we have go on to their own end."""
        self._stopping.clear()
        self.logger.notice("Retiring.", {"connections": self._listener.count}, origin=ORIGIN)
        seconds = self._drain_seconds
        deadline = time.monotonic() + seconds
        self._listener.close()
        self._control.close()
        self._http.stop(seconds)
        waiting = gevent.spawn(self._listener.wait)
        waiting.link(lambda _: self._stopping.set())
        self._stopping.wait(max(deadline - time.monotonic(), 0.0))  # a signal ends it as well
        waiting.kill()
        if self._drain_seconds:  # no signal has said that it shall be at once
            self._drain_seconds = max(deadline - time.monotonic(), min(RETIRE_EXTRA, seconds))

    def stop(self) -> None:
        """Accept no more, let commands and deliveries that are under way finish, close everything."""
        if not self._started:
            return
        self._started = False
        self._stopping.set()
        self._settings.leave()
        self.logger.notice("Shutting down.", origin=ORIGIN)
        deadline = time.monotonic() + self._drain_seconds
        self._listener.stop()
        self._http.stop(self._drain_seconds)
        self._listener.join(max(deadline - time.monotonic(), 0.0))
        self.outbound.stop(max(deadline - time.monotonic(), 0.0))
        self._roll_back()
