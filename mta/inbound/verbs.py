"""One function per SMTP verb: parse, ask the plugins, reply."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from mta.inbound import session_events
from mta.inbound.answers import refuse
from mta.inbound.bdat import bdat
from mta.inbound.extensions import SUBMISSION_PORTS, keywords, offered
from mta.inbound.greeting import named
from mta.inbound.proxy import refuse_proxy
from mta.inbound.receive import receive
from mta.inbound.unrecognized import unrecognized
from mta.logger import NOTICE
from mta.message.stream import MessageStream
from mta.plugin.refusal import Refusal, reply_with
from mta.plugin.verdict import CONT, OK
from mta.smtp.command import parse_mail, parse_rcpt
from mta.smtp.parameters import check_mail_params, check_rcpt_params, format_date_time, release_time
from mta.smtp.reply import ProtocolError, Reply
from mta.transaction import Transaction

if TYPE_CHECKING:
    from mta.inbound.session import Session
    from mta.plugin.verdict import Verdict
    from mta.smtp.address import Address

Handler = Callable[["Session", str], "Reply | None"]

SYNTAX_ERROR = Reply(501, "Syntax error", "5.5.4")
AUTH_REQUIRED = Reply(550, "Authentication required", "5.7.1")
TOO_MANY_RECIPIENTS = Reply(452, "Too many recipients", "4.5.3")
NEEDS_SMTPUTF8 = Reply(553, "Address needs SMTPUTF8", "5.6.7")  # RFC 6531 3.5
NO_EIGHT_BIT = Reply(501, "Syntax error (8-bit characters not allowed)", "5.5.2")
TOO_MANY_MESSAGES = Reply(421, "Too many messages in one session", "4.7.0", close=True)
NOT_IMPLEMENTED = Reply(502, "Command not implemented", "5.5.1")
NEEDS_BDAT = Reply(503, "BODY=BINARYMIME needs BDAT", "5.5.1")  # RFC 3030 3
MAY_NOT_HOLD = Reply(550, "Only clients that may relay can have mail held", "5.7.1")
RESET = Reply(250, "OK", "2.0.0")
TRY_SENDING = Reply(252, "Just try sending a mail and we'll see how it turns out...", "2.5.0")


def helo(session: Session, argument: str) -> Reply:
    """HELO host (RFC 5321 4.1.1.1)."""
    return _hello(session, "HELO", argument) or Reply(250, [_hello_line(session)])


def ehlo(session: Session, argument: str) -> Reply:
    """EHLO host: the greeting, then one extension a line."""
    refusal = _hello(session, "EHLO", argument)
    if refusal is not None:
        return refusal
    session.connection.capabilities = offered(session.connection, session.service.settings)
    session.run_hook("capabilities")
    return Reply(250, [_hello_line(session), *session.connection.capabilities])


def _hello(session: Session, verb: str, argument: str) -> Reply | None:
    connection = session.connection
    if not argument:
        return Reply(501, f"{verb} requires domain/address - see RFC-2821 4.1.1.1", "5.5.4")
    session.reset_transaction()  # RFC 5321 4.1.4: a new hello ends an open transaction
    connection.hello.verb, connection.hello.host = verb, argument
    connection.esmtp = verb == "EHLO"
    refusal = refuse(verb.lower(), session.run_hook(verb.lower(), argument))
    connection.early_talker = (
        connection.early_talker or session.wire.heard()
    )  # RFC 2920 3.1: wait for the reply
    if refusal is not None:
        connection.hello.verb, connection.hello.host = "", ""
    return refusal


def _hello_line(session: Session) -> str:
    service = session.service
    return f"{service.me} Hello {named(session.connection.remote)}, {service.settings.helo}"


def mail(session: Session, argument: str) -> Reply:
    """MAIL FROM:<reverse-path> [parameters] opens a transaction (RFC 5321 4.1.1.2)."""
    connection, settings = session.connection, session.service.settings
    if connection.local.port in SUBMISSION_PORTS and not connection.relaying:
        raise ProtocolError(AUTH_REQUIRED)
    address, params = parse_mail(argument, settings.strict_rfc1869 and not connection.relaying)
    hold_until = _check_mail_params(session, params) if params else None
    if address.is_utf8:
        _check_utf8(session, "SMTPUTF8" in params)
    if 0 < settings.max_messages <= connection.tran_count:
        if session.service.events.on:
            session_events.mail(session, None, address, TOO_MANY_MESSAGES)
        return TOO_MANY_MESSAGES
    connection.tran_count += 1
    uuid = f"{connection.uuid}.{connection.tran_count}"
    stream = MessageStream(settings.spool_dir, settings.spool_after, uuid)
    connection.transaction = transaction = Transaction(uuid, address, stream)
    transaction.params = params
    transaction.hold_until = hold_until
    verdict = session.run_hook("mail", address, params)
    reply = refuse("mail", verdict, address) or _accepted(verdict.message, *_sender_ok(session, transaction))
    if session.service.logger.level >= NOTICE:
        connection.lognotice(f"sender {address}", {"code": verdict.code.name, "msg": _said(verdict)})
    if session.service.events.on:
        session_events.mail(session, transaction, address, reply)
    if reply.code >= 400:
        session.reset_transaction()
    return reply


def _check_mail_params(session: Session, params: dict[str, str | None]) -> float | None:
    """Refuse what can not be done; when the mail may leave, in seconds since 1970, if it is to be held."""
    settings = session.service.settings
    check_mail_params(params, keywords(session.connection), settings.max_bytes)
    hold_until = release_time(params, time.time(), settings.extensions.futurerelease_max)
    if hold_until is not None and not session.connection.relaying:
        raise ProtocolError(MAY_NOT_HOLD)
    return hold_until


def _sender_ok(session: Session, transaction: Transaction) -> tuple[int, str, str]:
    """What is said to MAIL when no plugin says anything else, as Refusal has it; tells what became of the parameters."""
    sender = f"sender {transaction.mail_from} OK"
    if _is_lowered(transaction.params, session.connection.relaying):
        transaction.params["MT-PRIORITY"] = "0"
        return 250, "2.3.6", f"{sender}, 0 is the new priority assigned to the message"
    if transaction.hold_until is not None:
        return 250, "2.1.0", f"{sender}, held until {format_date_time(transaction.hold_until)}"
    return 250, "2.1.0", sender


def _is_lowered(params: dict[str, str | None], trusted: bool) -> bool:
    """RFC 6710 4.1: nobody may overtake the mail of others without being allowed to."""
    return "MT-PRIORITY" in params and not trusted and int(params["MT-PRIORITY"] or 0) > 0


def _check_utf8(session: Session, declared: bool) -> None:
    """An address that needs SMTPUTF8 may come only in a mail that says so (RFC 6531 3.4)."""
    if declared:
        return
    if not session.connection.esmtp:
        raise ProtocolError(NO_EIGHT_BIT)
    raise ProtocolError(NEEDS_SMTPUTF8)


def rcpt(session: Session, argument: str) -> Reply:
    """RCPT TO:<forward-path> [parameters]: accepted when a plugin says OK, or when the client may relay."""
    connection, settings = session.connection, session.service.settings
    transaction = connection.transaction
    assert transaction is not None  # smtp.order lets RCPT through inside a transaction only
    address, params = parse_rcpt(argument, settings.strict_rfc1869 and not connection.relaying)
    if params:
        check_rcpt_params(params, keywords(connection))
    if address.is_utf8:
        _check_utf8(session, "SMTPUTF8" in transaction.params)
    if len(transaction.rcpt_to) >= settings.max_recipients:
        _count(session, transaction, TOO_MANY_RECIPIENTS)
        if session.service.events.on:
            session_events.rcpt(session, transaction, address, TOO_MANY_RECIPIENTS)
        return TOO_MANY_RECIPIENTS
    # Plugins see the recipient in the envelope while they decide about it, as in Haraka.
    transaction.rcpt_to.append(address)
    verdict = session.run_hook("rcpt", address, params)
    reply = _rcpt_reply(session, address, verdict)
    _count(session, transaction, reply)
    if session.service.logger.level >= NOTICE:
        connection.lognotice(
            f"recipient {address}",
            {"code": verdict.code.name, "msg": _said(verdict), "sender": str(transaction.mail_from)},
        )
    if session.service.events.on:
        session_events.rcpt(session, transaction, address, reply, verdict.plugin)
    if reply.code >= 400 and connection.transaction is transaction:
        transaction.rcpt_to.remove(address)
    elif params:
        transaction.rcpt_params[address] = params
    return reply


def _count(session: Session, transaction: Transaction, reply: Reply) -> None:
    session.service.recipients += 1
    session.connection.rcpt_count.count(reply.code)
    transaction.rcpt_count.count(reply.code)


def _rcpt_reply(session: Session, address: Address, verdict: Verdict) -> Reply:
    refusal = refuse("rcpt", verdict, address)
    if refusal is not None:
        return refusal
    if verdict.code is not OK and not (verdict.code is CONT and session.connection.relaying):
        if verdict.code is not CONT:
            session.connection.logalert("No plugin determined if relaying was allowed")
        return Reply(550, f"I cannot deliver mail for {address}", "5.7.1")
    confirmed = session.run_hook("rcpt_ok", address)
    refusal = refuse("rcpt_ok", confirmed, address)
    if refusal is not None:
        return refusal
    return _accepted(confirmed.message or verdict.message, 250, "2.1.5", f"recipient {address} OK")


def data(session: Session, argument: str) -> Reply | None:
    """DATA: everything until the final dot, then the decision (RFC 5321 4.1.1.4)."""
    if argument:
        raise ProtocolError(SYNTAX_ERROR)
    transaction = session.connection.transaction
    if transaction is not None and (transaction.params.get("BODY") or "").upper() == "BINARYMIME":
        raise ProtocolError(NEEDS_BDAT)
    return receive(session)


def rset(session: Session, argument: str) -> Reply:
    """RSET: forget the transaction."""
    if argument:
        raise ProtocolError(SYNTAX_ERROR)
    session.run_hook("rset")
    session.reset_transaction()
    return RESET


def noop(session: Session, argument: str) -> Reply:
    """NOOP: nothing, with any argument."""
    verdict = session.run_hook("noop", argument)
    return refuse("noop", verdict) or RESET


def help_(session: Session, argument: str) -> Reply:
    """HELP: what may be said (RFC 5321 4.1.1.8)."""
    if not session.service.settings.extensions.help:
        return NOT_IMPLEMENTED
    return HELP


def vrfy(session: Session, argument: str) -> Reply:
    """VRFY: 252 unless a plugin knows better (RFC 5321 3.5.3)."""
    if not session.service.settings.extensions.vrfy:
        return NOT_IMPLEMENTED
    verdict = session.run_hook("vrfy", argument)
    if verdict.code is OK:
        return _accepted(verdict.message, 250, "2.1.5", "User OK")
    return refuse("vrfy", verdict) or TRY_SENDING


def etrn(session: Session, argument: str) -> Reply | None:
    """ETRN node: nobody can make mail leave before it is due (RFC 1985 5.3)."""
    if not session.service.settings.extensions.etrn:
        return unrecognized(session, "ETRN", argument)
    if not argument:
        raise ProtocolError(SYNTAX_ERROR)
    if session.connection.relaying:
        return Reply(
            458, f"Unable to queue messages for node {argument}: mail leaves when it is due", "4.3.0"
        )
    return Reply(459, f"Node {argument} not allowed", "4.7.1")


def quit_(session: Session, argument: str) -> Reply:
    """QUIT: say goodbye and hang up."""
    if argument:
        raise ProtocolError(SYNTAX_ERROR)
    service = session.service
    verdict = session.run_hook("quit")
    goodbye = Refusal(221, "2.0.0", f"{service.me} {service.settings.close}")
    return reply_with(verdict.message, goodbye, close=True) if verdict.message else _goodbye(goodbye)


@lru_cache(maxsize=4)
def _goodbye(said: Refusal) -> Reply:
    """One reply for all, as long as no plugin has another: saves 3 % of a session with one message."""
    return reply_with(None, said, close=True)


def proxy(session: Session, argument: str) -> Reply:
    """PROXY as a command: only a load balancer may say it, and only before the banner."""
    return refuse_proxy(session.connection)


def _accepted(message: object, code: int, enhanced: str, text: str) -> Reply:
    """With what a plugin said, if it said something."""
    return (
        Reply(code, text, enhanced) if message is None else reply_with(message, Refusal(code, enhanced, text))
    )


def _said(verdict: Verdict) -> str:
    return "" if verdict.message is None else str(verdict.message)


VERBS: dict[str, Handler] = {
    "HELO": helo,
    "EHLO": ehlo,
    "MAIL": mail,
    "RCPT": rcpt,
    "DATA": data,
    "BDAT": bdat,
    "RSET": rset,
    "NOOP": noop,
    "HELP": help_,
    "VRFY": vrfy,
    "ETRN": etrn,
    "QUIT": quit_,
    "PROXY": proxy,
}

HELP = Reply(214, f"Commands: {' '.join(verb for verb in VERBS if verb != 'PROXY')}", "2.0.0")
