"""Verbs that the server does not know: a plugin may know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.inbound import session_events
from mta.inbound.answers import refuse
from mta.inbound.opening import greeting
from mta.plugin.refusal import Refusal, lines_of, reply_with
from mta.plugin.verdict import DENYSOFT, NEXT_HOOK, OK
from mta.smtp.dsn import DSN
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.inbound.session import Session
    from mta.plugin.verdict import Verdict

UNRECOGNIZED = Refusal(500, "5.5.1", "Unrecognized command")
DONE = Refusal(250, "2.0.0", "OK")

# What a plugin may name with NEXT_HOOK.
GREETING_HOOKS = ("connect_init", "lookup_rdns", "connect")
VERB_HOOKS = ("helo", "ehlo", "mail", "rcpt", "data", "rset", "noop", "vrfy", "quit")


def unrecognized(session: Session, verb: str, argument: str) -> Reply | None:
    """Any other verb: a plugin may know it, and reply, or say with NEXT_HOOK what it means."""
    verdict = session.run_hook("unrecognized_command", verb, argument)
    reply = _reply(session, verdict, argument)
    if verb == "AUTH" and session.service.events.on:
        session_events.auth(session, argument, verdict, reply)
    return reply


def _reply(session: Session, verdict: Verdict, argument: str) -> Reply | None:
    if verdict.code is OK:
        return _plugins_own(verdict.message)
    if verdict.code is NEXT_HOOK:
        return _next_hook(session, verdict, argument)
    refusal = refuse("unrecognized_command", verdict)
    if refusal is None or verdict.code is DENYSOFT:
        session.connection.errors += 1
        session.unrecognized += 1
    return refusal or reply_with(lines_of(verdict.message), UNRECOGNIZED)


def _plugins_own(message: object) -> Reply | None:
    """What a plugin that knows the command has it answered with; None when it has sent its replies itself."""
    if message is None or isinstance(message, Reply):
        return message
    if isinstance(message, DSN):
        return Reply(message.code, message.lines, message.enhanced)
    return reply_with(message, DONE)


def _next_hook(session: Session, verdict: Verdict, argument: str) -> Reply | None:
    """Go on as if the client had just come, or had said the verb of that hook with the same argument."""
    hook = str(verdict.message)
    if hook in GREETING_HOOKS:
        return greeting(session, hook)
    if hook in VERB_HOOKS:
        return session.obey(hook.upper(), argument)
    session.connection.logerror(f"Plugin {verdict.plugin} names no hook that could come next: {hook}")
    return reply_with(None, UNRECOGNIZED)
