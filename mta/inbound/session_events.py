"""The events of a session: connect, auth, mail, rcpt, data, disconnect. Who calls has asked `events.on` before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mta import events as parts
from mta.inbound.greeting import NAMELESS
from mta.message.trace import protocol
from mta.plugin.auth import OFFERED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mta.connection import Connection, Endpoint
    from mta.counts import Counts
    from mta.inbound.session import Session
    from mta.message.header import Header
    from mta.plugin.verdict import Verdict
    from mta.smtp.address import Address
    from mta.smtp.reply import Reply
    from mta.transaction import Transaction

MAX_HEADERS = 5000  # characters of all header fields together
# Those that clients are known to try (iana.org/assignments/sasl-mechanisms). Anything else that was not offered may be a
# password in the wrong place.
_MECHANISMS = frozenset(
    {
        *("ANONYMOUS", "CRAM-MD5", "DIGEST-MD5", "EXTERNAL", "GSS-SPNEGO", "GSSAPI", "LOGIN", "NTLM"),
        *("OAUTHBEARER", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
        *("XOAUTH", "XOAUTH2"),
    }
)


def connect(session: Session, greeting: Reply | None) -> None:
    """A client is there, and this is what it reads first; None when it was gone, or not understood, before that."""
    c = session.connection
    at = None if session.announced else c.start_time
    session.announced = True
    fields: dict[str, object] = {
        "remote": _end(c.remote),
        "local": {"ip": c.local.ip, "port": c.local.port},
        "proxy": c.proxy.ip or None,
        "tls": _tls(c),
        "verdict": "gone" if greeting is None else parts.verdict(greeting.code),
        **_decision(session, greeting),
    }
    session.service.events.emit("connect", c.uuid, fields, at)


def auth(session: Session, argument: str, verdict: Verdict, reply: Reply | None) -> None:
    """AUTH was answered; reply: None when the plugin sent it by itself."""
    c = session.connection
    mechanism = argument.partition(" ")[0].upper()
    known = mechanism in _MECHANISMS or mechanism in c.notes.get(OFFERED, ())
    passed = c.authenticated and (reply is None or reply.code < 400)
    user = c.notes.get("auth_user") if passed else c.notes.pop("auth_failed_user", None)
    fields = {
        "remote": _end(c.remote),
        "mechanism": mechanism if known else None,
        "user": str(user)[: parts.MAX_TEXT] if user else None,
        "result": "pass" if passed else _failure(reply),
        "tls": _tls(c),
        "plugin": verdict.plugin or None,
        "reply": parts.reply(reply) if reply is not None else None,
    }
    session.service.events.emit("auth", c.uuid, fields)


def _failure(reply: Reply | None) -> str:
    """535 is the wrong password (RFC 4954 6), 4yz a backend that does not work, all else a client that does it wrong."""
    if reply is None or reply.code == 535:
        return "fail"
    return "tempfail" if reply.code < 500 else "refused"


def mail(session: Session, transaction: Transaction | None, sender: Address | None, reply: Reply) -> None:
    """MAIL was answered. transaction, sender: None when it came to none."""
    c = session.connection
    message = transaction.uuid if transaction is not None else None
    fields = {
        "message": message,
        "remote": _end(c.remote),
        "hello": {"verb": c.hello.verb, "host": c.hello.host},
        "protocol": protocol(c.esmtp, c.tls.enabled, c.authenticated),
        "tls": _tls(c),
        "user": _user(c),
        "sender": sender.address if sender is not None else None,
        "params": dict(transaction.params) if transaction is not None else {},
        "verdict": parts.verdict(reply.code),
        **_decision(session, reply),
    }
    session.service.events.emit("mail", message or c.uuid, fields)


def rcpt(
    session: Session,
    transaction: Transaction | None,
    recipient: Address | None,
    reply: Reply,
    plugin: str = "",
) -> None:
    """RCPT was answered. transaction, recipient: None when there was none; plugin: who accepted it."""
    message = transaction.uuid if transaction is not None else None
    fields = {
        "message": message,
        "recipient": recipient.address if recipient is not None else None,
        "verdict": parts.verdict(reply.code),
        **_decision(session, reply, plugin),
    }
    session.service.events.emit("rcpt", message or session.connection.uuid, fields)


def data(session: Session, transaction: Transaction, reply: Reply | None) -> None:
    """The message was answered for; None when the client went away, or was cut off, in the middle of it."""
    events = session.service.events
    header = transaction.header
    fields: dict[str, object] = {
        "message": transaction.uuid,
        "sender": transaction.mail_from.address,
        "recipients": _counts(transaction.rcpt_count),
        "message_id": header.get("Message-Id").strip()[: parts.MAX_TEXT] or None,
        "headers": _headers(header, events.headers),
        "size": transaction.data_bytes,
        "delay": parts.rounded(time.time() - transaction.start_time),
        "verdict": "gone" if reply is None else parts.verdict(reply.code),
        **_decision(session, reply, session.taken_by),
    }
    events.emit("data", transaction.uuid, fields)


def queued(session: Session, transaction: Transaction, plugin: str) -> None:
    """A plugin has taken the message over."""
    fields: dict[str, object] = {
        "message": transaction.uuid,
        "sender": transaction.mail_from.address,
        "plugin": plugin,
        "origin": None,
        "due": None,
        "entries": [],
    }
    session.service.events.emit("queue", transaction.uuid, fields)


def disconnect(session: Session) -> None:
    """The session is over."""
    c = session.connection
    fields = {
        "remote": _end(c.remote),
        "duration": parts.rounded(time.time() - c.start_time),
        "hello": {"verb": c.hello.verb, "host": c.hello.host},
        "tls": _tls(c),
        "user": _user(c),
        "transactions": c.tran_count,
        "recipients": _counts(c.rcpt_count),
        "messages": _counts(c.msg_count),
        "bytes": c.totalbytes,
        "errors": c.errors,
        "last_reject": c.last_reject[: parts.MAX_TEXT] or None,
    }
    session.service.events.emit("disconnect", c.uuid, fields)


def broken_command(session: Session, line: bytes, reply: Reply) -> None:
    """A command that broke the protocol was answered; only those are told that would have begun or addressed a mail."""
    verb = line[:4].upper()
    if verb == b"MAIL":
        mail(session, None, None, reply)
    elif verb == b"RCPT":
        rcpt(session, session.connection.transaction, None, reply)


# -- parts


def _decision(session: Session, reply: Reply | None, accepted_by: str = "") -> dict[str, object]:
    """What was said, and the plugin that wanted it so; None: the server itself, or nobody."""
    if reply is None:
        return {"plugin": None, "reply": None}
    plugin = accepted_by if reply.code < 400 else session.refused_by
    return {"plugin": plugin or None, "reply": parts.reply(reply)}


def _end(end: Endpoint) -> dict[str, object]:
    return {"ip": end.ip, "port": end.port, "host": None if end.host in NAMELESS else end.host}


def _headers(header: Header, names: Iterable[str]) -> dict[str, list[str]]:
    """The fields with these names, as far as there is room for them."""
    found: dict[str, list[str]] = {}
    room = MAX_HEADERS
    for name in names:
        for value in map(str.strip, header.get_all(name)):
            if room <= 0:
                return found
            found.setdefault(name, []).append(value[: min(room, parts.MAX_TEXT)])
            room -= len(value) + len(name)
    return found


def _tls(connection: Connection) -> dict[str, object] | None:
    tls = connection.tls
    if not tls.enabled:
        return None
    return {"version": tls.version, "cipher": tls.cipher, "verified": tls.verified}


def _user(connection: Connection) -> str | None:
    return str(connection.notes["auth_user"])[: parts.MAX_TEXT] if connection.authenticated else None


def _counts(counts: Counts) -> dict[str, int]:
    return {"accepted": counts.accept, "deferred": counts.tempfail, "rejected": counts.reject}
