"""The composition root: makes one server of all the rooms, starts it, and stops it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

from mta import memory, paths
from mta.check import preflight
from mta.check.preflight import HTTP_PORT
from mta.config import Config, ConfigError, Problem
from mta.config.schema import (
    ME,
    QUEUE_DIR,
    ConnectionSettings,
    HttpSettings,
    LimitSettings,
    OutboundPoolSettings,
    OutboundRouteSettings,
    OutboundSettings,
    SmtpSettings,
)
from mta.control import address as control_address
from mta.control.orders import Orders
from mta.control.server import ControlServer
from mta.http.files import Files
from mta.http.server import HttpServer
from mta.http.site import HttpSite
from mta.http.tls import PORT as HTTPS_PORT
from mta.http.tls import server_context
from mta.inbound.listener import Listener
from mta.inbound.service import Service
from mta.logger import ERROR, NOTICE, WARN
from mta.logger_setup import configure_from, open_logger
from mta.net.dns import Resolver
from mta.net.endpoint import EndpointError, bind_all
from mta.net.tls_server import TlsServer
from mta.outbound.limits import Limits
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
from mta.privileges import PrivilegesError, become, hand_over, identity
from mta.version import VERSION

if TYPE_CHECKING:
    from mta.inherited import Inherited
    from mta.log_writer import LogWriter
    from mta.logger import Logger
    from mta.net.endpoint import Bound
    from mta.plugin.hooks import Plugin

ORIGIN = "server"
# systemd, and a terminal, send a signal to the whole group, and the master passes on its own: that is one signal.
ONE_SIGNAL = 1.0  # seconds
READABLE = 1  # libev's EV_READ
HTTP_DRAIN_SECONDS = 1.0  # what a browser waits for is no mail
TLS_REPORTS = "tls-rpt"
BOUNCE_RULES = "outbound.bounce_rules"
NO_CERTIFICATE = "no usable certificate, so no TLS; haraka tls self-signed -c {} makes one to begin with"


class StartError(Exception):
    """The server can't start; the text is one line that says why and what to do."""


def refuse(problems: Sequence[Problem], install_dir: Path) -> None:
    """Raise StartError if there are problems: the first one, and how many more."""
    if problems:
        others = len(problems) - 1
        more = f" (and {others} more, see haraka check -c {install_dir})" if others else ""
        raise StartError(f"{problems[0]}{more}")


class Worker:
    """One server of one installation directory. Several may live in one process.

    inherited: what comes from the master; None when there is none. start() raises StartError and leaves nothing behind; stop() may be called from any greenlet.
    """

    def __init__(self, install_dir: Path, log_fd: int = 1, inherited: Inherited | None = None) -> None:
        self.install_dir = install_dir
        self._inherited = inherited
        self._share = inherited.share if inherited else EVERYTHING
        self.addresses: list[tuple[str, int]] = []
        self._log_fd = log_fd
        self._undo: list[Callable[[], object]] = []
        self._server = Server()
        self._stopping = Event()
        self._drain_seconds = 0.0
        self._started = False
        self._problems: list[Problem] = []

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
        self._smtp = self.config.settings(SmtpSettings)
        self._server.public_ip = self._smtp.public_ip
        self._drain_seconds = float(self._smtp.force_shutdown_timeout)
        self._connection = self.config.settings(ConnectionSettings, self._on_connection_settings)
        self._outbound_settings = self.config.settings(OutboundSettings, self._on_outbound_settings)
        self._common_limits = self.config.settings(LimitSettings, self._on_common_limits)
        self._named_limits = self.config.named(LimitSettings, self._on_named_limits)
        self._bounce_rules = self.config.get(BOUNCE_RULES, "list", on_change=self._on_bounce_rules)
        self.me = self.config.value(ME) or socket.gethostname()
        preflight(self.config, self.install_dir, self._notice)
        refuse(self._problems, self.install_dir)
        self._bound = self._inherited.smtp if self._inherited else self._bind(bind_all(self._smtp.listen))
        self.addresses = [
            name[:2] for _, sock in self._bound if isinstance(name := sock.getsockname(), tuple)
        ]
        self._make_http()
        self._switch_user()
        spool = self._open_spool()
        self.hooks = HookRunner(self._load_plugins(), self.logger, self._timeout_action())
        self.tls = TlsServer(self.config, self.logger)
        refuse(self._problems, self.install_dir)
        self.resolver = Resolver()
        # Who suspends a site now waits on this socket; who did so before has written it to the file that is read next.
        control = self._listen_for_control(spool)
        self.outbound = self._make_outbound(spool)
        self._server.on_mail(self.outbound)
        self.service = self._make_service()
        self._control = ControlServer(control, Orders(self.outbound, self._about), self.logger)
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

    def _bind(self, bound: list[Bound]) -> list[Bound]:
        self._undo.extend(sock.close for _, sock in bound)
        return bound

    def _make_http(self) -> None:
        """Bind what http.ini says; nobody accepts there before the plugins have added their pages."""
        settings = self.config.settings(HttpSettings)
        self._server.http = site = HttpSite(Files(self.install_dir / settings.docroot))
        if self._inherited:
            self._http_bound = self._inherited.http
        else:
            self._http_bound = self._bind(bind_all(settings.listen, HTTP_PORT))
        self.http_addresses = [sock.getsockname() for _, sock in self._http_bound]
        try:
            pairs = [
                (sock, server_context(self.config) if endpoint.port == HTTPS_PORT else None)
                for endpoint, sock in self._http_bound
            ]
        except ValueError as error:
            raise StartError(f"http.ini: port {HTTPS_PORT} needs TLS: {error}") from error
        self._http = HttpServer(pairs, site, self.logger, self.me)
        self._undo.append(self._http.stop)

    def _switch_user(self) -> None:
        to = identity(self._smtp.user, self._smtp.group)
        if to is None:
            return
        if not self._inherited:
            queue = self._queue_directory()
            hand_over((queue, state_directory(queue)), to)
        become(to)
        if self._is_first:
            self.logger.notice(f"serving as user {to.user}", {"uid": to.uid, "gid": to.gid}, origin=ORIGIN)

    def _queue_directory(self) -> Path:
        return self.install_dir / self.config.value(QUEUE_DIR)

    def _open_spool(self) -> Spool:
        spool = Spool(
            self._queue_directory(),
            self.logger,
            hostname=socket.gethostname(),
            share=self._share,
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
        settings, state = self._outbound_settings, state_directory(spool.directory)
        return Outbound(
            limits=Limits(self._common_limits, self._named_limits, self._share),
            suspensions=Suspensions(state),
            spool=spool,
            resolver=self.resolver,
            runner=self.hooks,
            logger=self.logger,
            settings=settings,
            me=self.me,
            read_template=lambda name: self.config.get(name, "data"),
            bounce_rules=self._bounce_rules,
            tls=open_policies(self.config, self.resolver, self.logger, settings.security, state),
            diary=TlsDiary(state / TLS_REPORTS / str(self._share.slot)),
            routes=self.config.sections(
                OutboundRouteSettings, lambda routes: self.outbound.change_routes(routes)
            ),
            pools=self.config.sections(OutboundPoolSettings, lambda pools: self.outbound.change_pools(pools)),
        )

    def _listen_for_control(self, spool: Spool) -> socket.socket:
        directory = state_directory(spool.directory)
        try:
            if self._inherited is None:
                control_address.clear(directory)
            sock = control_address.listen(directory, control_address.name_for(self._share))
        except OSError as error:
            raise StartError(f"cannot make the control socket in {directory}: {error.strerror}") from error
        self._undo.append(sock.close)
        self._began = time.time()
        return sock

    def _about(self) -> dict[str, object]:
        """What `haraka status` tells of the process."""
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "started": self._began,
            "connections": self._listener.count,
            "listening": [str(endpoint) for endpoint, _ in self._bound],
        }

    def _make_service(self) -> Service:
        return Service(
            me=self.me,
            version=VERSION,
            smtp=self._smtp,
            settings=self._connection,
            hooks=self.hooks,
            logger=self.logger,
            resolver=self.resolver,
            submit=self.outbound.submit,
            tls=self.tls,
        )

    def _begin(self) -> None:
        """Everything is in place: from here on nothing can fail for the operator's reasons."""
        self.config.watch()
        self._undo.append(self.config.close)
        self._undo.append(self.hooks.shutdown)
        self.outbound.start()
        self._listener = Listener([sock for _, sock in self._bound], self.service)
        self._undo.append(self._listener.stop)  # a watcher of a closed socket would abort the process
        self._listener.start()
        self._control.start()
        self._undo.append(self._control.stop)
        self._begin_http()
        self._started = True
        memory.settle()
        for endpoint, _ in self._bound if self._is_first else ():
            self.logger.log(NOTICE, f"Listening on {endpoint}", origin=ORIGIN)
        if self._is_first and not self.tls.usable and self._wants_tls():
            self.logger.error(NO_CERTIFICATE.format(self.install_dir), origin=ORIGIN)

    def _begin_http(self) -> None:
        if not self._http_bound:
            return
        self.hooks.run("init_http", self._server)
        self._http.start()
        self.hooks.run("init_wss", self._server)
        for endpoint, _ in self._http_bound if self._is_first else ():
            self.logger.log(NOTICE, f"Listening on {endpoint} for HTTP", origin=ORIGIN)

    def _wants_tls(self) -> bool:
        """True when somebody expects TLS: the operator lists the plugin, or listens on a port for it."""
        ports = {port for _, port in self.addresses}
        return "tls" in self.config.get("plugins", "list") or not ports.isdisjoint(self._smtp.smtps_port)

    def _roll_back(self) -> None:
        if hasattr(self, "logger"):
            self.logger.plugins_ready(None)
        while self._undo:
            self._undo.pop()()

    # -- reloading ----------------------------------------------------------------------------------------------------

    def _on_connection_settings(self, settings: ConnectionSettings) -> None:
        self._connection = settings
        if self._started:
            self.service.settings = settings

    def _on_outbound_settings(self, settings: OutboundSettings) -> None:
        self._outbound_settings = settings
        if self._started:
            self.outbound.configure(settings)

    def _on_common_limits(self, limits: LimitSettings) -> None:
        self._common_limits = limits
        self._on_limits()

    def _on_named_limits(self, limits: dict[str, LimitSettings]) -> None:
        self._named_limits = limits
        self._on_limits()

    def _on_limits(self) -> None:
        if self._started:
            self.outbound.limit(Limits(self._common_limits, self._named_limits, self._share))

    def _on_bounce_rules(self, lines: list[str]) -> None:
        self._bounce_rules = lines
        if self._started:
            self.outbound.set_bounce_rules(lines)

    # -- running ------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Block until stop() is called, or a signal asks for it."""
        signals = {
            signal.SIGTERM: lambda: self._on_signal("SIGTERM", graceful=True),
            signal.SIGINT: lambda: self._on_signal("SIGINT", graceful=self._smtp.graceful_shutdown),
            signal.SIGHUP: self._on_hangup,
        }
        watchers = [gevent.signal_handler(number, act) for number, act in signals.items()]
        self._watch_master()
        self._stopping.wait()
        if self._inherited is None:
            _cancel(watchers)
        else:
            gevent.spawn_later(ONE_SIGNAL, _cancel, watchers)
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

    def _on_signal(self, name: str, graceful: bool) -> None:
        again = self._stopping.is_set()
        if again and self._inherited:
            return  # the same signal, passed on
        self.logger.notice(f"{name} received", origin=ORIGIN)
        if again or not graceful:
            self._drain_seconds = (
                0.0  # the second signal, or one that does not wait: what is under way is cut
            )
        self._stopping.set()

    def _on_hangup(self) -> None:
        self.logger.notice("Flushing the temp fail queue", origin=ORIGIN)
        self.outbound.flush()

    def stop(self) -> None:
        """Accept no more, let commands and deliveries that are under way finish, close everything."""
        if not self._started:
            return
        self._started = False
        self._stopping.set()
        self.logger.notice("Shutting down.", origin=ORIGIN)
        deadline = time.monotonic() + self._drain_seconds
        self._listener.stop()
        self._http.stop(min(self._drain_seconds, HTTP_DRAIN_SECONDS))
        self._listener.join(max(deadline - time.monotonic(), 0.0))
        self.outbound.stop(max(deadline - time.monotonic(), 0.0))
        self._roll_back()


def _cancel(watchers: Sequence[gevent.signal_handler[...]]) -> None:
    """From here on the next signal ends the process at once; a SIGHUP has nothing to say any more."""
    for watcher in watchers:
        watcher.cancel()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
