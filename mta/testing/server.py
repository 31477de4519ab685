"""A whole server in memory: plugins under test, a configuration, a DNS, a clock, and clients that speak to it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from mta.config.schema import ConnectionSettings, HttpSettings, SmtpSettings
from mta.connection import Connection
from mta.http.files import Files
from mta.http.site import HttpSite
from mta.inbound.service import Service
from mta.logger import DEBUG, LEVELS, Logger, Record
from mta.net.dns import Resolver
from mta.net.tls_server import TlsServer
from mta.plugin.endpoints import endpoint
from mta.plugin.hooks import Plugin
from mta.plugin.runner import HookRunner
from mta.plugin.server import Server
from mta.plugin.verdict import REJECTIONS, Verdict
from mta.testing.client import Client
from mta.testing.clock import Clock, adopt
from mta.testing.dns import NO_ANSWERS, FakeDns, Zone
from mta.testing.loading import Files as ConfigFiles
from mta.testing.loading import Loadable, load, open_config, write_files
from mta.testing.mailroom import Mailroom, QueuedMail
from mta.testing.objects import CLIENT, SERVER, dress
from mta.testing.outgoing import Outgoing
from mta.testing.sessions import Sessions
from mta.testing.tracing import Asked, trace
from mta.testing.web import Page, ask
from mta.version import VERSION

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from mta.config import Config

LAST_LINES = 20


class MailServer(Outgoing):
    """The real session, hooks and configuration, with nothing around them: a context manager.

    plugins: names as in config/plugins, paths of files, Plugin classes or objects, in the order in which they are asked.
    config: configuration files by name, over the shipped ones; or the path of an installation, used as it is.
    search: directories in which named plugins are looked for first. dns: what the DNS says, see FakeDns; None asks the
    real one. domains: recipients there are accepted when no plugin says anything, "*" is anywhere. hostname: the server's
    own name. level: the least important log records that are kept. virtual_time: plugins see `clock`, else the machine's.
    keep_first: mail is kept before any plugin is asked at hook queue or queue_outbound.

    Entering raises PluginError and ConfigError for what would keep a server from starting.
    """

    def __init__(
        self,
        *plugins: Loadable,
        config: ConfigFiles | Path | None = None,
        search: Sequence[Path] = (),
        dns: FakeDns | Zone | None = NO_ANSWERS,
        domains: Collection[str] = ("example.com",),
        hostname: str = "mx.example.com",
        level: int = DEBUG,
        virtual_time: bool = True,
        keep_first: bool = False,
    ) -> None:
        self._wanted = plugins
        self._files = config
        self._search = search
        self._real_dns = dns is None
        self.dns = dns if isinstance(dns, FakeDns) else FakeDns(dns)
        self.clock = Clock()
        self._virtual = virtual_time
        self._keep_first = keep_first
        self.hostname = hostname
        self._stack = ExitStack()
        self._sessions = Sessions(self.explain)
        self._mailroom = Mailroom(domains, keep_first=keep_first)
        self.log: list[str] = []
        self.records: list[Record] = []
        self.asked: list[Asked] = []
        self.server = Server()
        self.logger = Logger(level, write=self.log.append)
        self.plugins: list[Plugin] = []

    def __enter__(self) -> MailServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- starting and stopping ----------------------------------------------------------------------------------------

    def start(self) -> MailServer:
        """Load the plugins and be ready for clients. Raises PluginError, ConfigError; leaves nothing behind then."""
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: ExitStack) -> None:
        self.directory = self._make_directory(stack)
        if self._virtual:
            stack.enter_context(self.clock.running())
        if not self._real_dns:
            stack.enter_context(self.dns.running())
        self.config: Config = open_config(self.directory, self.logger)
        self.server.http = self._site = HttpSite(self._serve_file)
        search = [*self._search, self.directory / "plugins"]
        for wanted in self._wanted:
            plugin = load(wanted, self.config, self.logger, self.server, search)
            adopt(stack, sys.modules[type(plugin).__module__])
            self.plugins.append(plugin)
        # Of equal priorities the first in the list is asked first.
        everybody = [self._mailroom, *self.plugins] if self._keep_first else [*self.plugins, self._mailroom]
        smtp = self.config.settings(SmtpSettings)
        self.hooks = HookRunner(
            everybody, self.logger, "continue" if smtp.plugin_timeout_action == "continue" else "defer"
        )
        around = self.clock.in_hook if self._virtual else nullcontext
        trace(self.hooks, self.on_asked, around, silent=(self._mailroom.name,))
        self._mailroom.open(self.config, self.hooks, self.logger, self.hostname)
        self.server.on_mail(self._mailroom)
        self._service = self._make_service(smtp)
        stack.callback(self.hooks.shutdown)
        self.logger.plugins_ready(self._is_written)
        stack.callback(self.logger.plugins_ready, None)
        self._run_init("init_master")
        self.hooks.run("init_http", self.server)

    def _make_directory(self, stack: ExitStack) -> Path:
        if isinstance(self._files, Path):
            return self._files
        directory = Path(tempfile.mkdtemp(prefix="haraka-test-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        write_files(directory / "config", self._files or {})
        return directory

    def _make_service(self, smtp: SmtpSettings) -> Service:
        return Service(
            me=self.hostname,
            version=VERSION,
            smtp=smtp,
            settings=self.config.settings(ConnectionSettings, self._on_settings),
            hooks=self.hooks,
            logger=self.logger,
            resolver=Resolver(),
            submit=self._mailroom.submit,
            tls=TlsServer(self.config, self.logger) if self._has_tls() else None,
        )

    def _has_tls(self) -> bool:
        """Certificates take longer to look for than a test takes."""
        return isinstance(self._files, Path) or any(name.startswith("tls") for name in self._files or ())

    def _serve_file(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        docroot = self.config.settings(HttpSettings).docroot  # few tests want to know
        return Files(self.directory / docroot)(environ, start)

    def _run_init(self, hook: str) -> None:
        verdict = self.hooks.run(hook, self.server)
        if verdict.code in REJECTIONS:
            raise RuntimeError(f"plugin {verdict.plugin} does not let the server start: {verdict.message}")

    def stop(self) -> None:
        """Hang up on all clients, shut the plugins down, and put back what was replaced. May be called again."""
        self._sessions.stop()
        self._stack.close()

    # -- clients ------------------------------------------------------------------------------------------------------

    def connect(
        self,
        ip: str = CLIENT,
        *,
        host: str | None = None,
        port: int = 40000,
        local_ip: str = SERVER,
        local_port: int = 25,
        relaying: bool = False,
        auth_user: str = "",
        tls: bool = False,
        notes: Mapping[str, Any] | None = None,
        first: bytes = b"",
    ) -> Client:
        """A client at this address, which has read the banner, or the refusal that came in its place.

        host: the name that the DNS has for the address. relaying: it may send anywhere. auth_user: it has logged in. tls: it
        is taken for encrypted from the start (Client.starttls does it for real). first: what it sends before it has read
        anything.
        """
        if host is not None:
            self.dns.remove(ip)
            self.dns.add(ip, "PTR", host)
        connection = Connection(self.logger, endpoint(ip, port), endpoint(local_ip, local_port))
        dress(connection, host=None, relaying=relaying, auth_user=auth_user, tls=tls, notes=notes)
        sock = self._sessions.begin(connection, self._service)
        return Client(self._sessions, sock, connection, self._mailroom.last, first)

    # -- what has happened --------------------------------------------------------------------------------------------

    @property
    def queued(self) -> list[QueuedMail]:
        """The mails that were accepted, and those that plugins have sent, in order."""
        return self._mailroom.queued

    def logged(self, text: str, level: str = "") -> list[Record]:
        """The log records with this text in their message or fields; level: only those of this level, such as "notice"."""
        number = LEVELS[level.upper()] if level else None
        return [
            record
            for record in self.records
            if text in f"{record.message} {dict(record.fields)}" and number in (None, record.level)
        ]

    def explain(self, what: str) -> str:
        """What went wrong, with the end of the log: for a test that fails."""
        return "\n".join([what, "The log ends with:", *self.log[-LAST_LINES:]])

    # -- plugins and their settings -----------------------------------------------------------------------------------

    def plugin(self, name: str) -> Plugin:
        """The plugin of this name. Raises LookupError."""
        for plugin in self.plugins:
            if plugin.name == name:
                return plugin
        raise LookupError(
            f"no plugin {name!r}, there are {', '.join(plugin.name for plugin in self.plugins)}"
        )

    def run(self, hook: str, subject: object, *args: object) -> Verdict:
        """Ask all plugins at a hook, as the server does: `server.run("rcpt", make_connection(), make_address("a@b"), {})`."""
        return self.hooks.run(hook, subject, *args)

    def get(
        self, path: str, *, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Page:
        """The page that plugins have added to the HTTP server at a path, as a browser gets it."""
        return ask(self._site, path, method, body, headers or {})

    def configure(self, files: ConfigFiles) -> None:
        """Change configuration files; plugins that follow theirs have seen the change when this returns."""
        write_files(self.directory / "config", files)
        self.config.catch_up()

    def _on_settings(self, settings: ConnectionSettings) -> None:
        self._service.settings = settings

    def on_asked(self, asked: Asked) -> None:
        """A plugin was asked; a subclass may show it."""
        self.asked.append(asked)

    def on_record(self, record: Record) -> None:
        """Something was logged; a subclass may show it."""
        self.records.append(record)

    def _is_written(self, record: Record) -> bool:
        self.on_record(record)
        return self.hooks.on_record(record) if self.hooks.has("log") else True


StartServer: TypeAlias = Callable[..., MailServer]
"""What the pytest fixture mail_server is: call it with the arguments of MailServer."""
