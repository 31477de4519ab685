"""The session as plugins see it: who is connected, what they said, what was decided."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol

from mta.counts import Counts
from mta.notes import Notes
from mta.results import Results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate

    from mta.logger import Logger
    from mta.transaction import Transaction


# The first two bits are the variant, the next two are random (RFC 9562 4.1).
_VARIANT = dict(zip("0123456789ABCDEF", "89AB" * 4, strict=True))


def new_uuid() -> str:
    """A random upper-case UUID (RFC 9562 version 4), the form that Haraka gives connections."""
    text = os.urandom(16).hex().upper()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:]}"


class ClientGone(OSError):
    """The client went away, or fell silent, in the middle of a plugin's dialogue with it."""


class Endpoint:
    """One end of the TCP connection: its address, and the name found for it."""

    __slots__ = ("host", "info", "ip", "is_local", "is_private", "login", "port")

    def __init__(self, ip: str = "", port: int = 0) -> None:
        self.ip = ip
        """The address, IPv6 in its shortest form; "" for a client that came through a Unix socket."""
        self.port = port
        """The TCP port."""
        self.host: str | None = None
        """The name that the DNS has for the address, None when it was not looked up or there is none."""
        self.info = ""
        """The name as it stands in the Received field."""
        self.login = ""
        """Who a proxy says has logged in there, "" when it says nothing."""
        self.is_local = False
        """True for the loopback addresses of this machine."""
        self.is_private = False
        """True for addresses of private networks (RFC 1918, RFC 4193 and their like)."""


class Hello:
    """What the client said in HELO or EHLO."""

    __slots__ = ("host", "verb")

    def __init__(self) -> None:
        self.verb = ""
        """`HELO` or `EHLO`; "" before the client said so."""
        self.host = ""
        """The name that it gave."""


class TlsSession(Protocol):
    """What the client and we have agreed on."""

    @property
    def server_name(self) -> str:
        """The host that the client asked for (SNI), "" when it named none."""
        ...

    @property
    def peer_certificate(self) -> Certificate | None:
        """The client's certificate, verified or not."""
        ...

    def channel_binding(self, kind: str) -> bytes | None:
        """The data of `tls-exporter` (RFC 9266) or `tls-server-end-point` (RFC 5929 4.1); None when there is none."""
        ...


class Client(Protocol):
    """Who is at the other end, as far as plugins deal with it; a session is."""

    def ask(self, code: int, text: str, timeout: float | None) -> str:
        """Send one reply and return the client's next line. Raises EOFError, OSError."""
        ...

    def hears(self, seconds: float) -> bool:
        """True when it says something within so many seconds. Raises EOFError, OSError."""
        ...

    @property
    def gone(self) -> bool:
        """True when it has hung up."""
        ...

    @property
    def may_start_tls(self) -> bool:
        """True when there is a certificate."""
        ...

    def start_tls(self) -> None:
        """Answer STARTTLS and do the handshake. Raises EOFError, OSError."""
        ...


class Tls:
    """The state of transport security on this connection."""

    __slots__ = ("advertised", "cipher", "enabled", "session", "verified", "version")

    def __init__(self) -> None:
        self.enabled = False
        """True as soon as the connection is encrypted."""
        self.advertised = False
        """True when the last EHLO was answered with STARTTLS among the rest."""
        self.verified = False
        """True when the client presented a certificate, and an authority that we believe has signed it."""
        self.cipher = ""
        """The cipher suite, such as `TLS_AES_256_GCM_SHA384`; "" in clear."""
        self.version = ""
        """The version, such as `TLSv1.3`; "" in clear."""
        self.session: TlsSession | None = None
        """What else is known about the TLS session, None in clear."""


class Proxy:
    """The load balancer in front of the client: its address, and what spoke for it ("haproxy")."""

    __slots__ = ("allowed", "ip", "type")

    def __init__(self) -> None:
        self.allowed = False
        """True when the client was brought by a proxy that may do so."""
        self.ip = ""
        """The proxy's own address."""
        self.type = ""
        """What spoke for the client, such as `haproxy`; "" when nothing did."""


class Connection:
    """One client's session, from connect to disconnect: the first argument of most hooks."""

    __slots__ = (
        "__weakref__",
        "_client",
        "_notes",
        "_over",
        "_proxy",
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
        """Names the session in the log; its mails are called `UUID.1`, `UUID.2` ..."""
        self.logger = logger
        """Where the log methods write."""
        self.remote = remote
        """The client."""
        self.local = local
        """The address and port that it came to."""
        self.hello = Hello()
        """How it introduced itself."""
        self.tls = Tls()
        """Whether and how the connection is encrypted."""
        self.transaction: Transaction | None = None
        """The mail under way: there is one from hook mail to hook reset_transaction, None otherwise."""
        self.tran_count = 0
        """How many mails were begun."""
        self.capabilities: list[str] = []
        """What EHLO is answered with; hook capabilities appends to it."""
        self.esmtp = False
        """True when the client said EHLO."""
        self.early_talker = False
        """True when it sent something before it was greeted."""
        self.pipelining = False
        """True when it sent commands without waiting for the replies."""
        self.errors = 0
        """Commands that were answered with an error of its own making."""
        self.last_reject = ""
        """The last reply that refused something."""
        self.rcpt_count = Counts()
        """Recipients of all mails so far: `accept`, `tempfail` and `reject`."""
        self.msg_count = Counts()
        """Mails so far, in the same way."""
        self.totalbytes = 0
        """Bytes of all messages so far."""
        self.start_time = time.time()
        """When it connected, in seconds since 1970."""
        self._relaying = False
        # Most sessions run no plugin that notes anything: a thousand idle ones should not pay for it.
        self._notes: Notes | None = None
        self._results: Results | None = None
        self._proxy: Proxy | None = None
        self._client: Client | None = None
        self._over = False

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
    def proxy(self) -> Proxy:
        """Who brought the client here; not `allowed` when it came by itself."""
        if self._proxy is None:
            self._proxy = Proxy()
        return self._proxy

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

    def auth_results(self, result: str = "") -> list[str]:
        """Note a result for the Authentication-Results field (RFC 8601), such as `spf=pass smtp.mailfrom=a@b`; all of them.

        What is noted before MAIL holds for every mail of the session, what is noted later for that mail.
        """
        notes = None if self.transaction is None else self.transaction.notes
        if result:
            (self.notes if notes is None else notes).setdefault("authentication_results", []).append(result)
        found: list[str] = []
        for place in (self._notes, notes):
            if place and "authentication_results" in place:
                found += place["authentication_results"]
        return found

    @property
    def authenticated(self) -> bool:
        """True when the client has logged in; `notes.auth_user` says as whom."""
        return self._notes is not None and bool(self._notes.get("auth_user"))

    @property
    def forwarded_for(self) -> str:
        """Whom a content filter in front of us has the next mail from, `name [ip]`; "" when none said so (XFORWARD)."""
        return str(self._notes.get("forwarded_for") or "") if self._notes is not None else ""

    def ask(self, code: int, text: str, timeout: float | None = None) -> str:
        """Send `code text` to the client, usually 334, and return its next line without the line end.

        timeout: seconds to wait for the answer, the session's own when None. A client that takes longer, or answers
        with more than a line can hold, is told so and hung up on. What it answers is never logged.
        Raises ClientGone, which a plugin lets through, and RuntimeError outside a session.
        """
        if self._client is None:
            raise RuntimeError("this connection has no client to ask")
        try:
            return self._client.ask(code, text, timeout)
        except (EOFError, OSError) as error:
            raise ClientGone(str(error)) from error

    def talks_early(self, seconds: float = 0.0) -> bool:
        """True when the client has spoken out of turn, or does within so many seconds; `early_talker` says so from then on.

        For hooks that run before the greeting: the client has to wait for that (RFC 5321 4.3.1). A client that is silent is
        kept waiting for the whole time, and nobody else. What it says is answered later, as usual. Commands that a load
        balancer sent along with its PROXY header count as it found them.
        Raises ClientGone when the client hangs up, which a plugin lets through, and RuntimeError outside a session.
        """
        if self._client is None:
            raise RuntimeError("this connection has no client to listen to")
        try:
            self.early_talker = self.early_talker or self._client.hears(seconds)
        except (EOFError, OSError) as error:
            raise ClientGone(str(error)) from error
        return self.early_talker

    @property
    def gone(self) -> bool:
        """True when the client has hung up, or the session is over; looks, and waits for nothing.

        A client that has said all it wants to say, and closed its half of the connection, looks the same. False outside a
        session.
        """
        return self._over if self._client is None else self._client.gone

    @property
    def can_start_tls(self) -> bool:
        """True when start_tls would do something: a certificate is there, and TLS is not on already."""
        return self._client is not None and not self.tls.enabled and self._client.may_start_tls

    def start_tls(self) -> None:
        """Answer STARTTLS with 220 and go over to TLS: hello, transaction and capabilities are forgotten (RFC 3207 4.2).

        Raises ClientGone when the handshake fails, which a plugin lets through, and RuntimeError outside a session.
        """
        if self._client is None:
            raise RuntimeError("this connection has no client to do a handshake with")
        try:
            self._client.start_tls()
        except (EOFError, OSError) as error:
            raise ClientGone(str(error)) from error

    def on_client(self, client: Client | None) -> None:
        """Tell the connection how the client is dealt with, None when the session is over; the session does this."""
        self._client = client
        self._over = client is None

    @property
    def log_uuid(self) -> str:
        """The uuid that log lines carry: the connection's, with `.N` from the first transaction on."""
        return f"{self.uuid}.{self.tran_count}" if self.tran_count else self.uuid

    # -- log lines about this connection; fields become key=value

    def logdata(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level DATA."""
        self.logger.data(message, fields, uuid=self.log_uuid, about=self)

    def logprotocol(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level PROTOCOL."""
        self.logger.protocol(message, fields, uuid=self.log_uuid, about=self)

    def logdebug(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level DEBUG."""
        self.logger.debug(message, fields, uuid=self.log_uuid, about=self)

    def loginfo(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level INFO."""
        self.logger.info(message, fields, uuid=self.log_uuid, about=self)

    def lognotice(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level NOTICE."""
        self.logger.notice(message, fields, uuid=self.log_uuid, about=self)

    def logwarn(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level WARN."""
        self.logger.warn(message, fields, uuid=self.log_uuid, about=self)

    def logerror(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level ERROR."""
        self.logger.error(message, fields, uuid=self.log_uuid, about=self)

    def logcrit(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level CRIT."""
        self.logger.crit(message, fields, uuid=self.log_uuid, about=self)

    def logalert(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level ALERT."""
        self.logger.alert(message, fields, uuid=self.log_uuid, about=self)

    def logemerg(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Write one line at level EMERG."""
        self.logger.emerg(message, fields, uuid=self.log_uuid, about=self)
