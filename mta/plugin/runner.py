"""Ask the plugins of a hook in order, and make one verdict of what they answer."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from time import monotonic  # the real one: tests move what plugins read as the time
from typing import TYPE_CHECKING, Any, Final, Literal

from gevent import GreenletExit, getcurrent

from mta.connection import ClientGone
from mta.logger import INFO, RUNNING
from mta.message.mime import TooManyParts
from mta.plugin.deadline import LATE, NEVER, OF_THREAD, TookTooLong, was_late
from mta.plugin.denial import Denial
from mta.plugin.hooks import HOOKS, HookMethod, Plugin
from mta.plugin.log_args import uuid_of
from mta.plugin.log_hook import LogHook
from mta.plugin.verdict import CONT, CONTINUE, DENY, DENYSOFT, OK, REJECTIONS, Answer, Verdict, as_verdict
from mta.smtp.dsn import DSN

if TYPE_CHECKING:
    from mta.logger import Logger, Record

TimeoutAction = Literal["defer", "continue"]

ASK_EVERYBODY: Final = frozenset({"connect_init", "disconnect"})

# A longer one is no command, but perhaps the password of a client that answered a question too late.
LONGEST_VERB: Final = 12

# A broken filter defers mail, it does not wave it through.
GUARDS: Final = frozenset({"rcpt", "data_post", "queue", "queue_outbound", "pre_send_trans_email"})

TOO_MANY_PARTS: Final = DSN.create(554, "Transaction failed due to too many MIME parts", 6, 0)

# Where nobody waits for permission DENYSOFT would mean something else: at hook bounce it would lose the report.
NEVER_DEFERS: Final = frozenset(
    {
        *("connect_init", "disconnect", "log", "deny", "capabilities", "rset", "quit", "queue_ok"),
        *("reset_transaction", "send_email", "deferred", "bounce", "delivered"),
        "shutdown",
    }
)

# Hook deny is given a connection: outbound hooks have none, and the process itself cannot be pardoned.
NO_PARDON: Final = frozenset(
    {
        *("init_master", "init_child", "init_http", "init_wss", "log", "deny"),
        *("send_email", "get_mx", "deferred", "bounce", "delivered"),
    }
)

# TookTooLong: the time of a plugin further out, whose log line asked this one.
NOT_THE_PLUGINS: Final = (ClientGone, TookTooLong, GreenletExit, KeyboardInterrupt)


class Call:
    """One plugin's method in a chain."""

    __slots__ = ("function", "method", "name", "priority", "timeout")

    def __init__(self, plugin: Plugin, method: HookMethod, priority: int, timeout: float) -> None:
        self.name = plugin.name
        self.method = method
        self.function = getattr(method, "__name__", repr(method))
        self.priority = priority
        self.timeout = timeout


def compile_chains(plugins: Iterable[Plugin]) -> dict[str, tuple[Call, ...]]:
    """Sort every plugin's methods by hook, then priority, then the order of the plugins; every hook has its entry."""
    calls: dict[str, list[Call]] = {hook: [] for hook in HOOKS}
    for plugin in plugins:
        for hook, method, priority in plugin.registrations():
            timeout = 0.0 if hook == "log" else plugin.timeout or 0.0
            calls[hook].append(Call(plugin, method, priority, timeout))
    return {hook: tuple(sorted(found, key=lambda call: call.priority)) for hook, found in calls.items()}


class HookRunner:
    """Runs the hooks of one server. `timeout_action` says what becomes of a plugin that takes too long."""

    __slots__ = ("_log_hook", "_logger", "_plugins", "_timeout_action", "chains")

    def __init__(
        self, plugins: Iterable[Plugin], logger: Logger, timeout_action: TimeoutAction = "defer"
    ) -> None:
        self._plugins = tuple(plugins)
        self._logger = logger
        self._timeout_action = timeout_action
        self._log_hook = LogHook(logger)
        self.chains = compile_chains(self._plugins)

    def has(self, hook: str) -> bool:
        """True when a plugin listens at this hook."""
        return bool(self.chains[hook])

    def run(self, hook: str, subject: Any, *args: Any) -> Verdict:
        """Ask the plugins of `hook` about `subject` (connection, hmail, server or log record).

        Returns the first answer other than CONT, or else CONT with the last message that came with one. Plugins that
        fail or take too long are logged and answered for; of theirs only ClientGone comes through. KeyError: no such hook.
        """
        chain = self.chains[hook]
        return self.ask(chain, hook, subject, args) if chain else CONTINUE

    def on_record(self, record: Record) -> bool:
        """Run hook log, for Logger.plugins_ready: True when the record may be written."""
        return self._log_hook.ask(self.chains["log"], record)

    def shutdown(self) -> None:
        """Tell every plugin that the server stops; one that fails or hangs does not keep it from stopping."""
        for plugin in self._plugins:
            self._ask(Call(plugin, _shutdown_of(plugin), 0, plugin.timeout or 0.0), "shutdown", None, ())

    def ask(self, chain: tuple[Call, ...], hook: str, subject: Any, args: tuple[Any, ...]) -> Verdict:
        """As run, for who has looked at `chains` to see that there is somebody to ask."""
        said = CONTINUE
        transaction = getattr(subject, "transaction", None)
        # Past Notes.get, which would take the name for a path if the note is not there.
        skipped = None if transaction is None else dict.get(transaction.notes, "skip_plugins")
        for call in chain:
            if skipped and call.name in skipped:
                continue
            verdict = self._ask(call, hook, subject, args)
            if verdict is CONTINUE:
                continue
            if verdict.code is CONT:
                said = verdict if verdict.message is not None else said
                continue
            if self._logger.level >= INFO:
                self._log_verdict(call, hook, subject, args, verdict)
            if verdict.code in REJECTIONS and self._pardoned(call, hook, subject, args, verdict):
                continue
            if hook not in ASK_EVERYBODY:
                return verdict
        return said

    def _ask(self, call: Call, hook: str, subject: Any, args: tuple[Any, ...]) -> Verdict:
        greenlet = getcurrent()
        outer = RUNNING.get(greenlet)
        seconds = call.timeout
        due = monotonic() + seconds if seconds else NEVER
        running = hook, call.name, subject, due, seconds, outer
        RUNNING[greenlet] = running  # what is logged meanwhile says so
        try:
            if due < OF_THREAD.timekeeper.wakes:
                OF_THREAD.timekeeper.wake(due)
            answer: Answer = call.method(subject, *args)
            verdict = CONTINUE if answer is None else as_verdict(answer, call.name)
        except BaseException as error:  # sys.exit() in a plugin does not end the server
            if not was_late(running, error):
                if isinstance(error, NOT_THE_PLUGINS):
                    raise
                return self._failed(call, hook, subject, error)
        else:
            if not (LATE and was_late(running, None)):
                return verdict
        finally:
            if outer is None:
                del RUNNING[greenlet]
            else:
                RUNNING[greenlet] = outer
        return self._timed_out(call, hook, subject)

    def _timed_out(self, call: Call, hook: str, subject: Any) -> Verdict:
        self._logger.crit(
            f"Plugin {call.name} timed out on hook {hook} after {call.timeout:g} s",
            {"function": call.function},
            origin=call.name,
            uuid=uuid_of(subject),
            about=subject,
        )
        if self._timeout_action == "continue" or hook in NEVER_DEFERS:
            return CONTINUE
        return Verdict(DENYSOFT, "plugin timeout", call.name)

    def _too_large(self, call: Call, hook: str, subject: Any, error: TooManyParts) -> Verdict:
        """Not the plugin's fault: what it could not look at is not waved through, and will not be smaller next time."""
        self._logger.notice(
            f"Plugin {call.name} gave up on hook {hook}: {error}",
            origin=call.name,
            uuid=uuid_of(subject),
            about=subject,
        )
        return Verdict(DENY, TOO_MANY_PARTS, call.name) if hook in GUARDS else CONTINUE

    def _failed(self, call: Call, hook: str, subject: Any, error: BaseException) -> Verdict:
        if isinstance(error, TooManyParts):
            return self._too_large(call, hook, subject, error)
        self._logger.crit(
            f"Plugin {call.name} failed on hook {hook}: {type(error).__name__}: {error}",
            {"function": call.function, "traceback": "".join(traceback.format_exception(error))},
            origin=call.name,
            uuid=uuid_of(subject),
            about=subject,
        )
        return Verdict(DENYSOFT, "plugin failure", call.name) if hook in GUARDS else CONTINUE

    def _pardoned(self, call: Call, hook: str, subject: Any, args: tuple[Any, ...], verdict: Verdict) -> bool:
        chain = self.chains["deny"]
        if not chain or hook in NO_PARDON or hook in ASK_EVERYBODY:
            return False
        denial = Denial(verdict.code, verdict.message, call.name, call.function, hook, args)
        return self.ask(chain, "deny", subject, (denial,)).code is OK

    def _log_verdict(
        self, call: Call, hook: str, subject: Any, args: tuple[Any, ...], verdict: Verdict
    ) -> None:
        if hook == "log":
            return
        fields: dict[str, object] = {"hook": hook, "plugin": call.name, "function": call.function}
        fields["params"] = ",".join(map(str, _without_secrets(hook, args)))
        fields["retval"] = verdict.code.name
        fields["msg"] = _shown(hook, verdict)
        self._logger.info("", fields, uuid=uuid_of(subject), about=subject)


def _shutdown_of(plugin: Plugin) -> HookMethod:
    def shutdown(_nobody: None) -> None:
        plugin.shutdown()

    return shutdown


def _shown(hook: str, verdict: Verdict) -> str:
    """The message as the log may have it: next hops can hold passwords."""
    if verdict.message is None:
        return ""
    return "..." if hook == "get_mx" and verdict.code is OK else str(verdict.message)


def _without_secrets(hook: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """AUTH reaches plugins as an unrecognised command, and its argument is a password."""
    if hook == "deny":
        return (args[0].hook, args[0].plugin)
    if hook != "unrecognized_command":
        return args
    verb = str(args[0])
    return (verb if len(verb) <= LONGEST_VERB else "...",)
