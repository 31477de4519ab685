"""The DATA phase: take the message in, check it, trace it, ask the plugins, hand it to a queue."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mta.inbound import content, session_events
from mta.inbound.answers import refuse
from mta.inbound.intake import Intake, take_whole
from mta.inbound.limits import Pace
from mta.logger import NOTICE
from mta.message import trace
from mta.plugin.refusal import Refusal, acceptance, lines_of, reply_with
from mta.plugin.verdict import CONTINUE, OK
from mta.smtp.data import FINAL_DOT
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.connection import Connection
    from mta.inbound.session import Session
    from mta.net.wire import Wire
    from mta.plugin.verdict import Verdict
    from mta.transaction import Transaction

GO_AHEAD = Reply(354, "go ahead, make my day")
MAIL_LOOP = Reply(550, "Too many received headers - possible mail loop", "5.4.6")
QUEUED = Refusal(250, "2.0.0", "Message Queued")
NO_QUEUE = Refusal(451, "4.3.5", "no queue took the message")
DATA_READ_SIZE = 65_536


def receive(session: Session) -> Reply:
    """Run the whole phase, from the reply to DATA to the one after the final dot.

    Raises EOFError, WireTimeout, OSError when the client goes away; then nothing was accepted.
    """
    connection = session.connection
    transaction = connection.transaction
    assert transaction is not None  # smtp.order lets DATA through inside a transaction only
    verdict = session.run_hook("data")
    refusal = None if verdict is CONTINUE else refuse("data", verdict)
    if refusal is None:
        if session.wire.pending:
            connection.early_talker = True  # RFC 2920 3.1: DATA is the last of a group
        session.reply(GO_AHEAD)
        try:
            refusal = _take_in(session, transaction)
        except BaseException:  # also when the server stops, and cuts it
            if session.service.events.on:
                session_events.data(session, transaction, None)
            raise
    return conclude(session, transaction, refusal)


def conclude(session: Session, transaction: Transaction, refusal: Reply | None) -> Reply:
    """The message is all there, or refused already: check it, hand it to a queue; the reply, and the transaction's end."""
    session.taken_by = ""
    reply = refusal or _check(session, transaction) or _decide(session, transaction)
    _account(session, transaction, reply)
    session.reset_transaction()
    return reply


def _take_in(session: Session, transaction: Transaction) -> Reply | None:
    """Read up to the final dot, always: the dialogue can only go on behind it."""
    wire, settings = session.wire, session.service.settings
    utf8 = "SMTPUTF8" in transaction.params
    chunk = _read(wire)
    size = take_whole(chunk, transaction.message_stream, settings, utf8)
    if size:
        session.connection.totalbytes += size
        if len(chunk) > size + FINAL_DOT:
            wire.unread(chunk[size + FINAL_DOT :])
        return None
    return _take_pieces(session, transaction, chunk, utf8)


def _take_pieces(session: Session, transaction: Transaction, chunk: bytes, utf8: bool) -> Reply | None:
    """The same for a message that does not come in one chunk, or has to be looked at closely; chunk: its beginning."""
    wire = session.wire
    intake = Intake(transaction.message_stream, session.service.settings, utf8)
    pace = Pace(wire, session.service.settings)
    intake.feed(chunk)
    while not intake.done:
        pace.received(intake.received)
        intake.feed(_read(wire))
    pace.end()
    if intake.rest:
        wire.unread(intake.rest)
    session.connection.totalbytes += intake.received
    if intake.folded:
        transaction.notes["data_line_length_exceeded"] = True
    if intake.error is not None:
        session.connection.logerror(
            f"cannot store the message: {intake.error}; check spool_dir in connection.ini"
        )
    if intake.too_big:
        return refuse("max_data_exceeded", session.run_hook("max_data_exceeded")) or intake.fault
    return intake.fault


def _read(wire: Wire) -> bytes:
    chunk = wire.read_chunk(DATA_READ_SIZE)
    if not chunk:
        raise EOFError("the client closed the connection inside DATA")
    return chunk


def _check(session: Session, transaction: Transaction) -> Reply | None:
    settings = session.service.settings
    if transaction.header.count("Received") > settings.max_received:
        return MAIL_LOOP
    if settings.clean_auth_results:
        trace.take_over_results(transaction.header)
    if settings.add_received:
        transaction.add_leading_header("Received", _received(session, transaction))
    transaction.max_mime_parts = settings.max_mime_parts
    refusal = content.look_into(session, transaction) if transaction.wants_body else None
    refusal = refusal or _data_post(session, transaction)
    results = session.connection.auth_results()
    if results and refusal is None:
        field = trace.authentication_results(session.service.me, results)
        transaction.add_leading_header(trace.AUTHENTICATION_RESULTS, field)
    return refusal


def _data_post(session: Session, transaction: Transaction) -> Reply | None:
    """Ask the plugins; what they wish for the body then is done as well."""
    verdict = session.run_hook("data_post")
    if transaction.too_many_parts:
        return content.TOO_MANY_PARTS
    refusal = refuse("data_post", verdict)
    return content.look_into(session, transaction) if refusal is None and transaction.wants_body else refusal


def _received(session: Session, transaction: Transaction) -> str:
    c = session.connection
    return trace.received_field(
        hello_host=c.hello.host,
        remote_info=trace.remote_info(c.remote.info, c.remote.ip),
        me=session.service.me,
        local_info=session.service.product,
        protocol=trace.protocol(c.esmtp, c.tls.enabled, c.authenticated),
        uuid=transaction.uuid,
        mail_from=str(transaction.mail_from),
        date=trace.date_to_str(time.time()),
        tls_cipher=c.tls.cipher,
        auth=_comments(c),
    )


def _comments(connection: Connection) -> str:
    """What else the Received field says about the client."""
    authenticated = "(authenticated bits=0)" if connection.authenticated else ""
    forwarded = connection.forwarded_for
    return f"{authenticated} (forwarded for {forwarded})".strip() if forwarded else authenticated


def _decide(session: Session, transaction: Transaction) -> Reply:
    """Hand the message to a queue plugin or, for a client that may relay, to the outbound queue."""
    hook = "queue_outbound" if session.connection.relaying else "queue"
    verdict = session.run_hook(hook)
    if session.service.logger.level >= NOTICE:
        _log_queue(session, hook, verdict)
    refusal = refuse(hook, verdict)
    if refusal is not None:
        return refusal
    if verdict.code is OK:
        session.taken_by = verdict.plugin
        return _queued(session, transaction, verdict)
    if hook == "queue":
        return reply_with(lines_of(verdict.message), NO_QUEUE)
    reply = session.service.submit(transaction)
    if reply.code < 300:
        session.run_hook("queue_ok", reply.text)
    return reply


def _queued(session: Session, transaction: Transaction, verdict: Verdict) -> Reply:
    if verdict.message is None:
        reply = Reply(QUEUED.code, f"{QUEUED.text} ({transaction.uuid})", QUEUED.enhanced)
    else:
        lines = lines_of(verdict.message) or [QUEUED.text]
        lines[-1] += f" ({transaction.uuid})"
        reply = acceptance(lines, QUEUED)
    if session.service.events.on:
        session_events.queued(session, transaction, verdict.plugin)
    if session.service.hooks.has("queue_ok"):
        session.run_hook("queue_ok", reply.text)
    return reply


def _log_queue(session: Session, hook: str, verdict: Verdict) -> None:
    said = "" if verdict.message is None else str(verdict.message)
    session.connection.lognotice(hook, {"code": verdict.code.name, "msg": said, "plugin": verdict.plugin})


def _account(session: Session, transaction: Transaction, reply: Reply) -> None:
    connection = session.connection
    connection.msg_count.count(reply.code)
    session.service.messages.count(reply.code)
    if session.service.events.on:
        session_events.data(session, transaction, reply)
    if session.service.logger.level < NOTICE:
        return
    connection.lognotice(
        "message",
        {
            "mid": transaction.header.get("Message-Id").strip(),
            "size": transaction.data_bytes,
            "rcpts": str(transaction.rcpt_count),
            "delay": f"{time.time() - transaction.start_time:.3f}",
            "code": reply.code,
            "msg": reply.text,
        },
    )
