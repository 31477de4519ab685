"""Connections, transactions and queued mail made up for a plain call of a plugin's method; no server around them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mta.connection import Connection, new_uuid
from mta.logger import WARN, Logger
from mta.message.stream import MessageStream
from mta.notes import Notes
from mta.outbound.compose import message_of
from mta.outbound.hmail import HMail
from mta.outbound.hot import HotMessage
from mta.outbound.qfile import QueueNamer
from mta.outbound.todo import Todo
from mta.plugin.endpoints import endpoint
from mta.smtp.address import Address
from mta.transaction import Transaction

CLIENT, SERVER = "203.0.113.7", "198.51.100.25"  # RFC 5737: nobody's
HELO = "client.example"
SENDER, RCPT = "alice@client.example", "bob@example.com"
MESSAGE = "From: alice@client.example\nTo: bob@example.com\nSubject: hello\n\nHello, Bob.\n"


def make_address(text: str | Address) -> Address:
    """An envelope address, of `bob@example.com` or `<bob@example.com>`; "" and `<>` are the null sender. Raises AddressError."""
    if isinstance(text, Address):
        return text
    return Address.parse(text or "<>")


def make_transaction(
    mail_from: str | Address = SENDER,
    rcpt_to: str | Address | Sequence[str | Address] = (),
    message: object = b"",
    *,
    notes: Mapping[str, Any] | None = None,
) -> Transaction:
    """A mail under way. message: header, empty line and body as str, bytes or an EmailMessage, with any line ends."""
    given = [rcpt_to] if isinstance(rcpt_to, str | Address) else rcpt_to
    stream = MessageStream.from_message(message_of(message))
    transaction = Transaction(f"{new_uuid()}.1", make_address(mail_from), stream)
    transaction.rcpt_to = [make_address(rcpt) for rcpt in given]
    transaction.notes.update(notes or {})
    return transaction


def make_connection(
    ip: str = CLIENT,
    *,
    host: str | None = None,
    port: int = 40000,
    local_ip: str = SERVER,
    local_port: int = 25,
    helo: str = HELO,
    esmtp: bool = True,
    relaying: bool = False,
    auth_user: str = "",
    tls: bool = False,
    transaction: Transaction | None = None,
    notes: Mapping[str, Any] | None = None,
    logger: Logger | None = None,
) -> Connection:
    """A client that has said hello, inside a mail if one is given. host: the name that its address has in the DNS.

    auth_user: it has logged in by this name, and may relay. helo "": it has said nothing yet.
    """
    connection = Connection(logger or Logger(WARN), endpoint(ip, port), endpoint(local_ip, local_port))
    dress(connection, host=host, relaying=relaying, auth_user=auth_user, tls=tls, notes=notes)
    connection.esmtp = esmtp and bool(helo)
    connection.hello.host = helo
    connection.hello.verb = ("EHLO" if esmtp else "HELO") if helo else ""
    if transaction is not None:
        connection.tran_count = 1
        connection.transaction = transaction
        transaction.uuid = f"{connection.uuid}.1"
    return connection


def dress(
    connection: Connection,
    *,
    host: str | None,
    relaying: bool,
    auth_user: str,
    tls: bool,
    notes: Mapping[str, Any] | None,
) -> None:
    """Make a connection that of a client with these properties."""
    connection.remote.host = host
    connection.remote.info = host or ""
    connection.relaying = relaying or bool(auth_user)
    if auth_user:
        connection.notes.update(auth_user=auth_user, auth_method="PLAIN")
    if tls:
        connection.tls.enabled = True
        connection.tls.version, connection.tls.cipher = "TLSv1.3", "TLS_AES_256_GCM_SHA384"
    connection.notes.update(notes or {})


def make_hmail(
    rcpt_to: str | Address | Sequence[str | Address] = RCPT,
    message: object = MESSAGE,
    *,
    mail_from: str | Address = SENDER,
    failures: int = 0,
    age: float = 0,
    notes: Mapping[str, Any] | None = None,
    logger: Logger | None = None,
) -> HMail:
    """A mail in the queue, for the outbound hooks: all recipients are in one domain.

    failures: attempts that have put it off; age: seconds since it came; notes: what todo.notes says.
    """
    given = [rcpt_to] if isinstance(rcpt_to, str | Address) else rcpt_to
    rcpts = [make_address(rcpt) for rcpt in given]
    now_ms = int(time.time() * 1000)
    came_ms = now_ms - int(age * 1000)
    todo = Todo(
        queue_time=came_ms,
        domain=rcpts[0].host,
        rcpt_to=rcpts,
        mail_from=make_address(mail_from),
        notes=Notes(notes or {}),
        uuid=f"{new_uuid()}.1.1",
    )
    stream = MessageStream.from_message(message_of(message))
    namer = QueueNamer("mx.example.com")
    name = namer.new(came_ms, now_ms)
    if failures:
        name = namer.next(name, failures, now_ms)
    return HMail(name, todo, HotMessage(tuple(stream.chunks())), logger or Logger(WARN))
