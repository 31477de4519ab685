"""The composition root: makes one server of all the rooms, starts it, and stops it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2
from typing import TYPE_CHECKING

from mta import memory, paths, worker_preload
from mta.check.preflight import preflight
from mta.config import Config, ConfigError
from mta.config.schema import ME, QUEUE_DIR
from mta.control.orders import Orders
from mta.control.queue import QueueControl
from mta.daemon import reopen
from mta.event_setup import open_events
from mta.events import Events
from mta.inbound.listener import Listener
from mta.inbound.service import Service
from mta.listening import open_sockets
from mta.logger_setup import configure_from, open_logger
from mta.net.dns import Resolver
from mta.net.endpoint import EndpointError
from mta.net.tls_server import TlsServer
from mta.outbound.service import Outbound
from mta.outbound.share import EVERYTHING
from mta.outbound.smarthost import SmarthostError
from mta.outbound.spool import Spool, SpoolError
from mta.outbound.spool_directory import state_directory
from mta.outbound.suspensions import Suspensions, SuspensionsError
from mta.outbound.tls_diary import TlsDiary
from mta.outbound.tls_setup import open_policies, prepare_client, tell_of_dane
from mta.plugin.errors import PluginError
from mta.plugin.loader import load_plugins
from mta.plugin.runner import HookRunner, TimeoutAction
from mta.plugin.server import Server
from mta.plugin.watchdog import Watchdog
from mta.privileges import PrivilegesError, become, hand_over, identity
from mta.processes.errors import StartError
from mta.processes.predecessor import Predecessor
from mta.processes.systemd import Notifier
from mta.processes.workers import RETIRE
from mta.version import VERSION
from mta.worker_announcements import WorkerAnnouncements
from mta.worker_control import WorkerControl
from mta.worker_end import WorkerEnd, left
from mta.worker_http import WorkerHttp
from mta.worker_init import run_init_hooks
from mta.worker_preload import Preload
from mta.worker_problems import WorkerProblems
from mta.worker_pulse import WorkerPulse
from mta.worker_settings import WorkerSettings
from mta.worker_signals import WorkerSignals

if TYPE_CHECKING:
    from mta.inherited import Inherited
    from mta.plugin.hooks import Plugin

ORIGIN = "server"
TLS_REPORTS = "tls-rpt"
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
        self._started = False
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
        self.logger, self._writer = open_logger(self._log_fd, shared=self._inherited is not None)
        self._undo.append(self._writer.close)
        self._problems = WorkerProblems(self.logger, loud=self._is_first)
        self._announce = WorkerAnnouncements(self.logger, self._is_first)
        self.config = Config(self.install_dir, paths.ETC, self._problems.notice)
        configure_from(self.logger, self.config)
        self._announce.descriptors(memory.raise_descriptor_limit())
        self._settings = WorkerSettings(self.config, self._share)
        self._smtp = self._settings.smtp
        self._server.public_ip = self._smtp.public_ip
        self._end = WorkerEnd(
            float(self._smtp.force_shutdown_timeout), self._inherited is not None, self.logger
        )
        self.me = self.config.value(ME) or socket.gethostname()
        preflight(self.config, self.install_dir, self._problems.notice)
        self._problems.refuse(self.install_dir)
        self._bind()
        self._switch_user()
        self._open_events()
        spool = self._open_spool()
        self.watchdog = Watchdog(self._smtp.watchdog_ms / 1000, self.logger, self._writer.write)
        self.hooks = HookRunner(self._load_plugins(), self.logger, self._timeout_action())
        self.tls = TlsServer(self.config, self.logger)
        self._problems.refuse(self.install_dir)
        self.resolver = Resolver()
        self._control = WorkerControl(
            state_directory(spool.directory), self._share, alone=self._inherited is None
        )
        self._undo.append(self._control.stop)
        self.outbound = self._make_outbound(spool)
        self._server.on_mail(self.outbound)
        self._server.outbound = QueueControl(spool.directory, state_directory(spool.directory))
        self.service = self._make_service()
        self._listener = Listener(
            [sock for _, sock in self._bound], self.service, shared=self._share.slots > 1
        )
        self._pulse = self._make_pulse()
        self._server.on_figures(self._pulse.figures, self._pulse.sums)
        run_init_hooks(self.hooks, self._server, first=self._is_first, has_master=self._inherited is not None)
        self.logger.plugins_ready(self.hooks.on_record if self.hooks.has("log") else None)
        self._begin()

    @property
    def _is_first(self) -> bool:
        """What is the same for all workers is said, or done, by the first one alone."""
        return self._share.slot == 0

    def _timeout_action(self) -> TimeoutAction:
        return "continue" if self._smtp.plugin_timeout_action == "continue" else "defer"

    def _bind(self) -> None:
        """Listen for mail and for HTTP; nobody accepts there before all is ready."""
        if self._inherited:
            self._bound, http = self._inherited.smtp, self._inherited.http
        else:
            self._bound, http = open_sockets(self.config, self._smtp)
            self._undo.extend(sock.close for _, sock in (*self._bound, *http))
        names = [sock.getsockname() for _, sock in self._bound]
        self.addresses = [name[:2] for name in names if isinstance(name, tuple)]
        self._http = WorkerHttp(http, self.config, self.install_dir, self.logger, self.me)
        self._undo.append(self._http.stop)
        self._server.http = self._http.site
        self.http_addresses = self._http.addresses

    def _switch_user(self) -> None:
        to = self._inherited.identity if self._inherited else identity(self._smtp.user, self._smtp.group)
        if to is None:
            return
        if not self._inherited:
            queue = self._queue_directory()
            hand_over((queue, state_directory(queue)), to)
        worker_preload.load()  # that user may not be able to read what we are made of
        become(to)
        self._announce.user(to)

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

    def _make_outbound(self, spool: Spool) -> Outbound:
        settings, state = self._settings, state_directory(spool.directory)
        self._policies = open_policies(
            self.config, self.resolver, self.logger, settings.outbound.security, state
        )
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
            tls=self._policies,
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
            "busy": self.watchdog.as_values(),
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
        self._problems.begun()
        memory.settle()
        self.watchdog.start()
        self._undo.append(self.watchdog.stop)
        self._preload = Preload(
            self.logger,
            self.watchdog.excusing,
            self.resolver.prepare,
            partial(tell_of_dane, self._policies, self.logger),
            partial(prepare_client, self._policies),
            self.outbound.prepare_rules,
            self.outbound.prepare_templates,
        )
        self._preload.start()
        self._undo.append(self._preload.stop)
        self._announce.listening(endpoint for endpoint, _ in self._bound)
        if not self.tls.usable and self._wants_tls():
            self._announce.no_certificate(self.install_dir)

    def _begin_http(self) -> None:
        places = self._http.begin(lambda: self.hooks.run("init_http", self._server))
        if places:
            self.hooks.run("init_wss", self._server)
        self._announce.listening(places, "HTTP")

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
                SIGTERM: partial(self._end.on_signal, "SIGTERM", graceful=True),
                SIGINT: partial(self._end.on_signal, "SIGINT", graceful=self._smtp.graceful_shutdown),
                SIGHUP: self._on_hangup,
                SIGUSR1: self._on_reopen,
                SIGUSR2: self._on_reload,
                RETIRE: self._end.on_retire,
            },
            has_master=self._inherited is not None,
        )
        if self._inherited is not None:
            self._end.watch_master(self._inherited.master)
        if self._notifier is not None:
            self._notifier.ready(self._pulse.status_line())
        ready()
        self._end.asked.wait()
        if self._end.retiring:
            self._finish()
        if self._notifier is not None:
            self._notifier.stopping()
        signals.leave()
        self.stop()

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

    def _finish(self) -> None:
        """Another one serves already: take no more clients, and let those that we have go on to their own end."""
        self._end.asked.clear()
        self.logger.notice("Retiring.", {"connections": self._listener.count}, origin=ORIGIN)
        deadline = self._end.deadline()
        self._listener.close()
        self._control.close()
        self._http.stop(self._end.seconds)
        self._end.wait_for(self._listener.wait, deadline)

    def stop(self) -> None:
        """Accept no more, let commands and deliveries that are under way finish, close everything."""
        if not self._started:
            return
        self._started = False
        self._end.asked.set()
        self._settings.leave()
        self.logger.notice("Shutting down.", origin=ORIGIN)
        deadline = self._end.deadline()
        self._listener.stop()
        self._http.stop(self._end.seconds)
        self._listener.join(left(deadline))
        self.outbound.stop(left(deadline))
        self._roll_back()
