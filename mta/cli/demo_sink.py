"""The next hop of the demo: our own inbound side, with a plugin that keeps every message in a Maildir."""

from __future__ import annotations

import mailbox
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mta.config.schema import ConnectionSettings, SmtpSettings
from mta.inbound.listener import Listener
from mta.inbound.service import Service
from mta.net.dns import Resolver
from mta.net.endpoint import Endpoint
from mta.plugin import OK, Plugin
from mta.plugin.runner import HookRunner
from mta.record import record
from mta.smtp.reply import Reply
from mta.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mta.connection import Connection
    from mta.logger import Logger
    from mta.plugin.verdict import Answer
    from mta.smtp.address import Address
    from mta.transaction import Transaction

HOST = "127.0.0.1"


@record
class Stored:
    """A message that arrived: where it lies, and when it was stored (seconds since 1970)."""

    path: Path
    time: float


class KeepEverything(Plugin):
    """Takes mail for everybody and stores it in a Maildir."""

    name = "keep_everything"

    def __init__(self, maildir: Path) -> None:
        self.stored: dict[str, Stored] = {}  # by Message-ID
        self.on_stored: Callable[[Stored], None] | None = None
        self._maildir = maildir
        self._box = mailbox.Maildir(maildir)

    def hook_lookup_rdns(self, connection: Connection) -> Answer:
        """Ask no name server: all clients are on this machine."""
        return OK, "localhost"

    def hook_rcpt(self, connection: Connection, rcpt: Address, params: Mapping[str, str | None]) -> Answer:
        """Accept."""
        return OK

    def hook_queue(self, connection: Connection) -> Answer:
        """Store the message; lines in a Maildir end with LF."""
        assert connection.transaction is not None  # this hook has one
        with connection.transaction.message_stream.open() as message:
            key = self._box.add(message.read().replace(b"\r\n", b"\n"))
        message_id = connection.transaction.header.get("Message-ID").strip()
        stored = Stored(self._maildir / "new" / key, time.time())
        self.stored[message_id] = stored
        if self.on_stored is not None:
            self.on_stored(stored)
        return OK


class Sink:
    """An SMTP server on a free port of this machine, with the mailbox that it fills."""

    def __init__(self, maildir: Path, logger: Logger) -> None:
        self.mailbox = KeepEverything(maildir)
        socket = Endpoint(HOST, 0).bind()
        self.port: int = socket.getsockname()[1]
        service = Service(
            me="sink.example",
            version=VERSION,
            smtp=SmtpSettings(),
            settings=ConnectionSettings(),
            hooks=HookRunner([self.mailbox], logger),
            logger=logger,
            resolver=Resolver(),
            submit=_no_relay,
        )
        self._listener = Listener([socket], service)

    def start(self) -> None:
        """Begin to accept connections."""
        self._listener.start()

    def stop(self) -> None:
        """Accept no more."""
        self._listener.stop()


def _no_relay(transaction: Transaction) -> Reply:
    return Reply(451, "the sink relays nothing", "4.3.0")
