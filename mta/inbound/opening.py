"""How a session begins: who the client is, the hooks that may turn it away, the banner, and its first bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.inbound import session_events, session_log
from mta.inbound.answers import refuse
from mta.inbound.encryption import secure
from mta.inbound.greeting import banner, look_up_rdns
from mta.inbound.proxy import is_proxy, meet_proxy
from mta.inbound.strangers import TLS_ON_PLAIN_PORT, may_be_tls
from mta.plugin.refusal import lines_of
from mta.plugin.verdict import OK

if TYPE_CHECKING:
    from mta.inbound.session import Session
    from mta.smtp.reply import Reply


def greet(session: Session) -> None:
    """Run the hooks of a new connection and say the banner, or why not. Raises EOFError, OSError when the client goes away."""
    session_log.connected(session.connection)
    if is_proxy(session) and not _met_client(session):
        return
    if session.tls_first:
        secure(session, keep_input=True)  # behind a PROXY header the handshake may have begun
        session.connection.early_talker = False
    session.introduced = True
    session.run_hook("connect_init")
    reply = session.loop_reply or greeting(session, "lookup_rdns")
    if session.service.events.on and not session.announced:  # refused before any hook was asked
        session_events.connect(session, reply)
    # What came with a PROXY header is buffered, and was judged when that was read.
    if not session.wire.pending:
        session.connection.early_talker = session.wire.heard()
    session.reply(reply)


def _met_client(session: Session) -> bool:
    """Let the load balancer say who its client is; False when it does not, and has been told."""
    session.busy = False
    refusal = meet_proxy(session)
    session.busy = True
    if refusal is not None:
        session.reply(refusal)
    return refusal is None


def hear_first(session: Session) -> None:
    """Tell a TLS client from an SMTP client by its first bytes: its line end may never come."""
    if session.closing:
        return
    session.busy = False
    wire = session.wire
    data = chunk = wire.read_chunk()
    while chunk and len(data) < 2 and may_be_tls(data):
        chunk = wire.read_chunk()
        data += chunk
    wire.unread(data)
    if len(data) > 1 and may_be_tls(data):
        session.reply(TLS_ON_PLAIN_PORT)


def greeting(session: Session, first_hook: str) -> Reply:
    """Run the hooks from `first_hook` on: connect_init, lookup_rdns or connect.

    The banner, or the refusal that meets all commands.
    """
    reply = _greeting(session, first_hook)
    if session.service.events.on:
        session_events.connect(session, reply)
    return reply


def _greeting(session: Session, first_hook: str) -> Reply:
    # Behind a load balancer the client's address is known only now, and with it how many come from there.
    seat, settings = session.seat, session.service.settings
    session.loop_reply = seat.move(session.connection.remote.ip, settings) if seat else None
    if session.loop_reply is not None:
        return session.loop_reply
    if first_hook == "connect_init":
        session.run_hook("connect_init")
    if first_hook != "connect":
        session.loop_reply = _look_up_rdns(session)
    if session.loop_reply is not None:
        return session.loop_reply
    verdict = session.run_hook("connect")
    session.loop_reply = refuse("connect", verdict)
    return session.loop_reply or banner(session.connection, session.service, verdict.message)


def _look_up_rdns(session: Session) -> Reply | None:
    """Find out the client's name, unless a plugin refuses it."""
    verdict = session.run_hook("lookup_rdns")
    refusal = refuse("lookup_rdns", verdict)
    if refusal is None:
        host = " ".join(lines_of(verdict.message)) or "Unknown" if verdict.code is OK else None
        look_up_rdns(session.connection.remote, session.service.resolver, host)
    return refusal
