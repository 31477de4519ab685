"""The session as plugins see it: who is connected, what they said, what was decided."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from mta.counts import Counts
from mta.notes import Notes
from mta.results import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mta.logger import Logger
    from mta.transaction import Transaction


def new_uuid() -> str:
    """A random upper-case UUID (RFC 9562 version 4), the form that Haraka gives connections."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex().upper()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class ClientGone(OSError):
    """The client went away, or fell silent, in the middle of a plugin's dialogue with it."""


class Endpoint:
    """One end of the TCP connection: its address, and the name found for it."""

    __slots__ = ("host", "info", "ip", "is_local", "is_private", "port")

    def __init__(self, ip: str = "", port: int = 0) -> None:
        self.ip = ip
        self.port = port
        self.host: str | None = None
        self.info = ""
        self.is_local = False
        self.is_private = False


class Hello:
    """What the client said in HELO or EHLO; verb is "" before it did."""

    __slots__ = ("host", "verb")

    def __init__(self) -> None:
        self.verb = ""
        self.host = ""


class Tls:
    """The state of transport security on this connection."""

    __slots__ = ("advertised", "cipher", "enabled", "verified", "version")

    def __init__(self) -> None:
        self.enabled = False
        self.advertised = False
        self.verified = False
        self.cipher = ""
        self.version = ""


class Connection:
    """One client's session, from connect to disconnect: the first argument of most hooks."""

    __slots__ = (
        "__weakref__",
        "_ask",
        "_notes",
        "_relaying",
        "_results",
        "capabilities",
        "early_talker",
        "errors",
        "esmtp",
        "hello",
        "last_reject",
        "local",
        "logger",
        "msg_count",
        "pipelining",
        "rcpt_count",
        "remote",
        "start_time",
        "tls",
        "totalbytes",
        "tran_count",
        "transaction",
        "uuid",
    )

    def __init__(self, logger: Logger, remote: Endpoint, local: Endpoint) -> None:
        self.uuid = new_uuid()
        self.logger = logger
        self.remote = remote
        self.local = local
        self.hello = Hello()
        self.tls = Tls()
        self.transaction: Transaction | None = None
        self.tran_count = 0
        self.capabilities: list[str] = []
        self.esmtp = False
        self.early_talker = False
        self.pipelining = False
        self.errors = 0
        self.last_reject = ""
        self.rcpt_count = Counts()
        self.msg_count = Counts()
        self.totalbytes = 0
        self.start_time = time.time()
        self._relaying = False
        # Most sessions run no plugin that notes anything: a thousand idle ones should not pay for it.
        self._notes: Notes | None = None
        self._results: Results | None = None
        self._ask: Callable[[int, str], str] | None = None

    @property
    def notes(self) -> Notes:
        """Whatever plugins want to remember for the length of the session."""
        if self._notes is None:
            self._notes = Notes()
        return self._notes

    @property
    def results(self) -> Results:
        """What plugins found out about this connection."""
        if self._results is None:
            self._results = Results(self)
        return self._results

    @property
    def relaying(self) -> bool:
        """True when this client may send to any destination; a transaction may override it for itself."""
        transaction = self.transaction
        if transaction is not None and transaction.relaying is not None:
            return transaction.relaying
        return self._relaying

    @relaying.setter
    def relaying(self, value: bool) -> None:
        self._relaying = value

    def ask(self, code: int, text: str) -> str:
        """Send `code text` to the client, usually 334, and return its next line without the line end.

        Raises ClientGone, which a plugin lets through, and RuntimeError outside a session.
        """
        if self._ask is None:
            raise RuntimeError("this connection has no client to ask")
        try:
            return self._ask(code, text)
        except (EOFError, OSError) as error:
            raise ClientGone(str(error)) from error

    def on_ask(self, ask: Callable[[int, str], str] | None) -> None:
        """Tell the connection how a dialogue reaches the client, None when it no longer can; the session does this."""
        self._ask = ask

    @property
    def log_uuid(self) -> str:
        """The uuid that log lines carry: the connection's, with `.N` from the first transaction on."""
        return f"{self.uuid}.{self.tran_count}" if self.tran_count else self.uuid

    def lognotice(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level NOTICE about this connection."""
        self.logger.notice(message, fields, uuid=self.log_uuid)

    def loginfo(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level INFO about this connection."""
        self.logger.info(message, fields, uuid=self.log_uuid)

    def logerror(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level ERROR about this connection."""
        self.logger.error(message, fields, uuid=self.log_uuid)
