"""The Plugin base class: one method per hook, and what each answer means. This file is the list of hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mta import logger
from mta.plugin.log_args import read_log_args, uuid_of
from mta.plugin.verdict import Answer

if TYPE_CHECKING:
    from mta.config import Config
    from mta.connection import Connection
    from mta.logger import Logger, Record
    from mta.plugin.denial import Denial
    from mta.plugin.offload import Threads
    from mta.plugin.outcome import Deferral, Failure, Receipt
    from mta.plugin.program import Argument, Finished, Programs
    from mta.plugin.queued import HMail
    from mta.plugin.server import Server
    from mta.smtp.address import Address

Params = Mapping[str, "str | None"]
"""The parameters of MAIL or RCPT by keyword in upper case; None for one without a value."""
HookMethod = Callable[..., Answer]
T = TypeVar("T")

LOWEST, HIGHEST = -100, 100


class Registration(NamedTuple):
    """One method that one plugin wants to be called at a hook; lower priorities come first."""

    hook: str
    method: HookMethod
    priority: int = 0


class Plugin:
    """Derive one class per plugin file from this, and override the hooks it cares about.

    A hook returns None to let the next plugin decide, or a code, or `(code, message)`. The first answer other than
    CONT decides, except in connect_init and disconnect, which ask everybody and ignore the answers. Unless a hook
    says otherwise below, OK accepts, DENY rejects for good (5xx), DENYSOFT for now (4xx), and DENYDISCONNECT,
    DENYSOFTDISCONNECT and DISCONNECT close the connection too. docs/Hooks.md has every hook by every code. Code may
    block: each connection has a greenlet of its own.
    """

    name: str = ""
    """The name in config/plugins."""
    timeout: float | None = None
    """Seconds that one hook may take; 0 is for ever. A class that knows better than plugin_timeout says so here."""
    max_threads: int = 0
    """How many calls of `offload` compute at once; 0 means as many as there are processors, at most four."""
    max_programs: int = 20
    """How many programs of `run` run at once; further ones wait for their turn."""
    config: Config
    """The configuration of this plugin: its own defaults below the directory of the installation."""
    server: Server
    """The server that runs this plugin."""
    logger: Logger | None = None
    """Where the log methods write; None outside a server, for example in a test of one plugin."""
    _registrations: tuple[Registration, ...] = ()
    _threads: Threads | None = None
    _log_level: int | None = None

    def __init_subclass__(cls, **more: Any) -> None:
        """Let a class say `log_level = 7` as it says `timeout = 5`; the property stays in its place."""
        super().__init_subclass__(**more)
        if "log_level" in vars(cls):
            cls._log_level = vars(cls)["log_level"]
            del cls.log_level

    _programs: Programs | None = None

    def register(self) -> None:
        """Read configuration, open databases, register further hooks. Raise to refuse to start."""

    def shutdown(self) -> None:
        """Close what register opened: the server is stopping."""

    def register_hook(self, hook: str, method: str | HookMethod, priority: int = 0) -> None:
        """Call `method` (a name or a bound method) at `hook`. Priorities -100 to 100 run in ascending order.

        Raises ValueError for an unknown hook or priority, AttributeError for a method that does not exist.
        """
        if hook not in HOOKS:
            raise ValueError(f"there is no hook {hook!r}")
        if not LOWEST <= priority <= HIGHEST:
            raise ValueError(f"the priority of hook {hook} must be {LOWEST} to {HIGHEST}, not {priority}")
        bound = getattr(self, method) if isinstance(method, str) else method
        self._registrations += (Registration(hook, bound, priority),)

    def registrations(self) -> Iterator[Registration]:
        """Yield what register_hook was told, then every hook_ method that this class overrides; `hook_rcpt = None` drops one."""
        yield from self._registrations
        for hook in HOOKS:
            own = getattr(type(self), f"hook_{hook}")
            if own is not getattr(Plugin, f"hook_{hook}") and own is not None:
                yield Registration(hook, getattr(self, f"hook_{hook}"))

    @property
    def log_level(self) -> int | None:
        """The least important level of which hook_log wants to see records, 0 to 9; None: those that are printed.

        Set it in the class, in register, or whenever settings change. It may be less important than the level of log.ini.
        """
        return self._log_level

    @log_level.setter
    def log_level(self, level: int | None) -> None:
        self._log_level = level
        if self.logger is not None:
            self.logger.want(self.name, level)

    def offload(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in a thread, and return or raise what it does; the other sessions go on meanwhile.

        For what computes for long, such as a password hash, and for libraries in C that wait without letting others run. When
        the time of the hook is up nobody waits any more, but a thread cannot be ended: it keeps its place until the function
        returns.
        """
        if self._threads is None:
            from mta.plugin.offload import Threads  # not at the top: most plugins need no threads

            self._threads = Threads(self.max_threads)
        return self._threads.run(function, *args)

    def run(
        self,
        cmd: Sequence[Argument],
        input: bytes | None = None,
        *,
        timeout: float = 30.0,
        max_output: int = 10 << 20,
        env: Mapping[str, str] | None = None,
        client: Connection | None = None,
    ) -> Finished:
        """Run a program to its end and return its exit status and what it wrote: `code`, `stdout`, `stderr`.

        cmd: the program, looked up in PATH, and its arguments; never a shell. input: what it reads. timeout: seconds.
        max_output: bytes of both streams together. env: set besides PATH, HOME, LANG, LC_ALL, TZ and TMPDIR, which are all it
        gets of the server's environment. client: stop when this client has hung up.

        It is killed, with all it has started, when it takes or writes too much, when the time of the hook is up, when the
        session is ended, and when the client is gone. Raises ProgramNotStarted, ProgramTimeout and OutputTooLarge, which are
        ProgramError; ClientGone, which a plugin lets through; RuntimeError inside `offload`.
        """
        if self._programs is None:
            from mta.plugin.program import Programs

            self._programs = Programs(self.max_programs)
        return self._programs.run(cmd, input, timeout, max_output, env, client)

    # ---- the process

    def hook_init_master(self, server: Server) -> Answer:
        """The only process, or the first worker, is about to serve. Any DENY keeps the server from starting: status 1."""
        return None

    def hook_init_child(self, server: Server) -> Answer:
        """A worker of several is about to serve. Any DENY keeps the server from starting: status 1."""
        return None

    def hook_init_http(self, server: Server) -> Answer:
        """The HTTP server is about to accept: `server.http.route(path, app)` adds pages. The answer is ignored."""
        return None

    def hook_init_wss(self, server: Server) -> Answer:
        """The HTTP server accepts: a plugin that serves web sockets begins now. The answer is ignored."""
        return None

    def hook_log(self, record: Record) -> Answer:
        """A log line is about to be written. Every plugin is asked; anything but None keeps it from standard output.

        record: `level`, `message`, `fields`, `origin`, `uuid`, `time`, and where it happened: `connection`,
        `transaction`, `hook`, `plugin`. No timeout. What a plugin with this hook logs itself is shown to none.
        """
        return None

    # ---- the connection

    def hook_connect_init(self, connection: Connection) -> Answer:
        """A client has connected. Every plugin is asked, the answers are ignored."""
        return None

    def hook_lookup_rdns(self, connection: Connection) -> Answer:
        """Find the client's name: OK with the name sets it, CONT asks DNS; DENY 554 and DENYSOFT 421 to every command."""
        return None

    def hook_connect(self, connection: Connection) -> Answer:
        """Before the banner. A message replaces the banner's text; DENY 554 and DENYSOFT 421 to every command."""
        return None

    def hook_helo(self, connection: Connection, host: str) -> Answer:
        """HELO came. DENY 550, DENYSOFT 450, and the client has not introduced itself."""
        return None

    def hook_ehlo(self, connection: Connection, host: str) -> Answer:
        """EHLO came. DENY 550, DENYSOFT 450, and the client has not introduced itself."""
        return None

    def hook_capabilities(self, connection: Connection) -> Answer:
        """Append to `connection.capabilities` what EHLO shall offer. The answer is ignored."""
        return None

    def hook_unrecognized_command(self, connection: Connection, verb: str, argument: str) -> Answer:
        """An unknown verb came. OK with a Reply or another message sends it, OK alone: the plugin has replied; DENY 500.

        NEXT_HOOK with `connect_init`, `lookup_rdns` or `connect` greets the client anew from there on, with the name of
        another hook that follows a verb it takes the command for that verb.
        """
        return None

    def hook_vrfy(self, connection: Connection, argument: str) -> Answer:
        """VRFY came. OK 250, DENY 550, DENYSOFT 450, CONT 252."""
        return None

    def hook_noop(self, connection: Connection, argument: str) -> Answer:
        """NOOP came. DENY answers 500, DENYSOFT does not."""
        return None

    def hook_rset(self, connection: Connection) -> Answer:
        """RSET came. The answer is ignored."""
        return None

    def hook_quit(self, connection: Connection) -> Answer:
        """QUIT came. Only a message in the answer is used."""
        return None

    def hook_deny(self, connection: Connection, denial: Denial) -> Answer:
        """Another plugin rejects. OK pardons: the plugins after that one are asked as if it had said nothing."""
        return None

    def hook_disconnect(self, connection: Connection) -> Answer:
        """The session is over. Every plugin is asked, the answers are ignored."""
        return None

    # ---- the transaction

    def hook_mail(self, connection: Connection, mail_from: Address, params: Params) -> Answer:
        """MAIL came. CONT and OK accept the sender, DENY 550, DENYSOFT 450."""
        return None

    def hook_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        """RCPT came. OK accepts; when all say CONT it is rejected with 550 unless the client may relay."""
        return None

    def hook_rcpt_ok(self, connection: Connection, rcpt: Address) -> Answer:
        """A recipient was accepted by hook rcpt: the last chance to refuse it."""
        return None

    def hook_data(self, connection: Connection) -> Answer:
        """DATA came. CONT and OK answer 354, DENY 554, DENYSOFT 451, both of which end the transaction."""
        return None

    def hook_max_data_exceeded(self, connection: Connection) -> Answer:
        """The message is too big: DENYSOFT makes it 450, anything else 552."""
        return None

    def hook_data_post(self, connection: Connection) -> Answer:
        """The message is here. CONT and OK let it be queued, DENY 550, DENYSOFT 450."""
        return None

    def hook_queue(self, connection: Connection) -> Answer:
        """Take the message (not from a relaying client). OK promises that it is kept; all CONT answers 451."""
        return None

    def hook_queue_outbound(self, connection: Connection) -> Answer:
        """Take the message of a relaying client. OK promises that it is kept; CONT leaves it to the spool."""
        return None

    def hook_queue_ok(self, connection: Connection, message: str) -> Answer:
        """The message is kept. The answer is ignored."""
        return None

    def hook_reset_transaction(self, connection: Connection) -> Answer:
        """The transaction is about to be forgotten. The answer is ignored."""
        return None

    # ---- outbound

    def hook_pre_send_trans_email(self, connection: Connection) -> Answer:
        """The message is about to be spooled: add header fields here. DENY 550, DENYSOFT 450, and it is not spooled."""
        return None

    def hook_send_email(self, hmail: HMail) -> Answer:
        """A delivery attempt is about to start. DELAY with seconds puts it off, which is no failure; other answers are ignored."""
        return None

    def hook_get_mx(self, hmail: HMail, domain: str) -> Answer:
        """Where to deliver: OK with a NextHop, something like one, a URL or a list of these; CONT asks DNS; DENY bounces, DENYSOFT defers."""
        return None

    def hook_deferred(self, hmail: HMail, deferral: Deferral) -> Answer:
        """Recipients are put off. DENYSOFT with seconds changes the delay; any other answer but CONT drops them silently."""
        return None

    def hook_bounce(self, hmail: HMail, failure: Failure) -> Answer:
        """Recipients have failed. Any answer but CONT sends no report."""
        return None

    def hook_delivered(self, hmail: HMail, receipt: Receipt) -> Answer:
        """Recipients were delivered. The answer is ignored."""
        return None

    # ---- log lines: any order of text, mappings (key=value), and a connection, transaction or hmail for the uuid;
    # without one of these it is that of the hook which is being run

    def logdata(self, *args: Any) -> None:
        """Write a line at level DATA."""
        self._log(logger.DATA, args)

    def logprotocol(self, *args: Any) -> None:
        """Write a line at level PROTOCOL."""
        self._log(logger.PROTOCOL, args)

    def logdebug(self, *args: Any) -> None:
        """Write a line at level DEBUG."""
        self._log(logger.DEBUG, args)

    def loginfo(self, *args: Any) -> None:
        """Write a line at level INFO."""
        self._log(logger.INFO, args)

    def lognotice(self, *args: Any) -> None:
        """Write a line at level NOTICE."""
        self._log(logger.NOTICE, args)

    def logwarn(self, *args: Any) -> None:
        """Write a line at level WARN."""
        self._log(logger.WARN, args)

    def logerror(self, *args: Any) -> None:
        """Write a line at level ERROR."""
        self._log(logger.ERROR, args)

    def logcrit(self, *args: Any) -> None:
        """Write a line at level CRIT."""
        self._log(logger.CRIT, args)

    def logalert(self, *args: Any) -> None:
        """Write a line at level ALERT."""
        self._log(logger.ALERT, args)

    def logemerg(self, *args: Any) -> None:
        """Write a line at level EMERG."""
        self._log(logger.EMERG, args)

    def _log(self, level: int, args: tuple[Any, ...]) -> None:
        if self.logger is not None and self.logger.would_log(level):
            message, fields, uuid, about = read_log_args(args)
            within = logger.running() if about is None else None
            if within is not None:
                about, uuid = within.subject, uuid_of(within.subject)
            self.logger.log(
                level, message, fields, origin=self.name, uuid=uuid, about=about, plugin=self.name, parts=args
            )


HOOKS: tuple[str, ...] = tuple(
    name.removeprefix("hook_") for name in vars(Plugin) if name.startswith("hook_")
)
"""Every hook, in the order of this file."""
