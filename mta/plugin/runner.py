"""Ask the plugins of a hook in order, and make one verdict of what they answer."""

from __future__ import annotations

import traceback
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

from gevent import GreenletExit, getcurrent

from mta.connection import ClientGone
from mta.logger import INFO, RUNNING
from mta.message.mime import TooManyParts
from mta.plugin.deadline import Deadline, TookTooLong
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
        if not chain:
            return CONTINUE
        return self._run(chain, hook, subject, args)

    def on_record(self, record: Record) -> bool:
        """Run hook log, for Logger.plugins_ready: True when the record may be written."""
        return self._log_hook.ask(self.chains["log"], record)

    def shutdown(self) -> None:
        """Tell every plugin that the server stops; one that fails or hangs does not keep it from stopping."""
        for plugin in self._plugins:
            self._ask(Call(plugin, _shutdown_of(plugin), 0, plugin.timeout or 0.0), "shutdown", None, ())

    def _run(self, chain: tuple[Call, ...], hook: str, subject: Any, args: tuple[Any, ...]) -> Verdict:
        said = CONTINUE
        skipped = _skipped_by(subject)
        for call in chain:
            if skipped and call.name in skipped:
                continue
            verdict = self._ask(call, hook, subject, args)
            if verdict.code is CONT:
                said = verdict if verdict.message is not None else said
                continue
            if self._logger.level >= INFO:
                self._log_verdict(call, hook, subject, args, verdict)
            if hook not in ASK_EVERYBODY and not self._pardoned(call, hook, subject, args, verdict):
                return verdict
        return said

    def _ask(self, call: Call, hook: str, subject: Any, args: tuple[Any, ...]) -> Verdict:
        greenlet = getcurrent()
        outer = RUNNING.get(greenlet)
        RUNNING[greenlet] = hook, call.name, subject  # what is logged meanwhile says so
        answer: Answer = None
        try:
            if not call.timeout:
                return as_verdict(call.method(subject, *args), call.name)
            with Deadline(call.timeout) as deadline:
                answer = call.method(subject, *args)
            return self._timed_out(call, hook, subject) if deadline.over else as_verdict(answer, call.name)
        except (ClientGone, TookTooLong, GreenletExit, KeyboardInterrupt):
            raise  # TookTooLong: the time of a plugin further out, whose log line asked this one
        except TooManyParts as error:
            return self._too_large(call, hook, subject, error)
        except BaseException as error:  # sys.exit() in a plugin does not end the server
            return self._failed(call, hook, subject, error)
        finally:
            if outer is None:
                del RUNNING[greenlet]
            else:
                RUNNING[greenlet] = outer

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
        if not chain or verdict.code not in REJECTIONS or hook in NO_PARDON:
            return False
        denial = Denial(verdict.code, verdict.message, call.name, call.function, hook, args)
        return self._run(chain, "deny", subject, (denial,)).code is OK

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


def _skipped_by(subject: Any) -> Container[str]:
    transaction = getattr(subject, "transaction", None)
    # Past Notes.get, which would take the name for a path if the note is not there.
    return dict.get(transaction.notes, "skip_plugins") or () if transaction is not None else ()


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
