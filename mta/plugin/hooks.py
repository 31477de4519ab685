"""The Plugin base class: one method per hook, and what each answer means. This file is the list of hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mta import logger
from mta.plugin.log_args import read_log_args
from mta.plugin.verdict import Answer

if TYPE_CHECKING:
    from mta.config import Config
    from mta.connection import Connection
    from mta.logger import Logger, Record
    from mta.plugin.denial import Denial
    from mta.plugin.offload import Threads
    from mta.plugin.outcome import Deferral, Failure, Receipt
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
    config: Config
    """The configuration of this plugin: its own defaults below the directory of the installation."""
    server: Server
    """The server that runs this plugin."""
    logger: Logger | None = None
    """Where the log methods write; None outside a server, for example in a test of one plugin."""
    _registrations: tuple[Registration, ...] = ()
    _threads: Threads | None = None

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

    def offload(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that computes for long, such as a password hash, in a thread; the sessions go on meanwhile."""
        if self._threads is None:
            from mta.plugin.offload import Threads  # not at the top: most plugins need no threads

            self._threads = Threads()
        return self._threads.run(function, *args)

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
        """A log line is about to be written. Anything but None keeps it from standard output. No timeout."""
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

    # ---- log lines: any order of text, mappings (key=value), and a connection, transaction or hmail for the uuid

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
            message, fields, uuid = read_log_args(args)
            self.logger.log(level, message, fields, origin=self.name, uuid=uuid)


HOOKS: tuple[str, ...] = tuple(
    name.removeprefix("hook_") for name in vars(Plugin) if name.startswith("hook_")
)
"""Every hook, in the order of this file."""
