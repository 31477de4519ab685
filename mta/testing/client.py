"""An SMTP client for tests: every command is a method, every reply an object."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mta.message.dots import stuff
from mta.net.wire import Wire, WireTimeout
from mta.outbound.compose import message_of
from mta.smtp.address import Address
from mta.smtp.reply import Reply, read_reply
from mta.testing.sessions import SECONDS, Sessions

if TYPE_CHECKING:
    import socket

    from mta.connection import Connection
    from mta.notes import Notes
    from mta.results import Results
    from mta.transaction import Transaction

LONGEST = 4096  # octets of a reply line


class NoReply(AssertionError):
    """The server has hung up, or does not answer; the text has the end of its log."""


class Client:
    """One connection to a server under test. Its methods send a command and return the Reply: code, enhanced, text, lines.

    connection: what plugins see as their first argument. banner: what the server said first. mails: the last transaction of
    each connection that is over, by the connection's uuid.
    """

    def __init__(
        self,
        sessions: Sessions,
        sock: socket.socket,
        connection: Connection,
        mails: Mapping[str, Transaction],
        first: bytes = b"",
    ) -> None:
        self._sessions = sessions
        self._mails = mails
        self._wire = Wire(sock, timeout=SECONDS, lenient=True)
        self.connection = connection
        self.capabilities: list[str] = []
        if first:
            self.send(first)
        self.banner = self.read()

    # -- what the session knows ---------------------------------------------------------------------------------------

    @property
    def transaction(self) -> Transaction:
        """The mail under way, or else the last one. Raises LookupError when there was none."""
        found = self.connection.transaction or self._mails.get(self.connection.uuid)
        if found is None:
            raise LookupError("this client has not begun a mail")
        return found

    @property
    def notes(self) -> Notes:
        """What plugins noted about the connection."""
        return self.connection.notes

    @property
    def results(self) -> Results:
        """What plugins found out about the connection."""
        return self.connection.results

    @property
    def closed(self) -> bool:
        """True when the server has hung up, or is about to."""
        return self._sessions.has_closed(self.connection)

    # -- commands -----------------------------------------------------------------------------------------------------

    def ehlo(self, host: str = "client.example") -> Reply:
        """Say EHLO; what the server offers is in `capabilities`."""
        reply = self.command(f"EHLO {host}")
        self.capabilities = list(reply.lines[1:]) if reply.code == 250 else []
        return reply

    def helo(self, host: str = "client.example") -> Reply:
        """Say HELO."""
        return self.command(f"HELO {host}")

    def mail(self, mail_from: str | Address = "alice@client.example", *params: str) -> Reply:
        """Say MAIL; params such as "SIZE=1000". Says EHLO first if nothing was said yet."""
        if not self.connection.hello.verb:
            self.ehlo()
        return self.command(" ".join([f"MAIL FROM:{_path(mail_from)}", *params]))

    def rcpt(self, rcpt_to: str | Address = "bob@example.com", *params: str) -> Reply:
        """Say RCPT; params such as "NOTIFY=NEVER"."""
        return self.command(" ".join([f"RCPT TO:{_path(rcpt_to)}", *params]))

    def data(self, message: object = "Subject: hello\n\nHello.\n") -> Reply:
        """Say DATA and send the message: str, bytes or an EmailMessage, with any line ends. The reply to the final dot, or to DATA when that is refused."""
        reply = self.command("DATA")
        if reply.code != 354:
            return reply
        content = stuff(message_of(message))
        self.send(content + (b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n"))
        return self.read()

    def send_mail(
        self,
        mail_from: str | Address = "alice@client.example",
        rcpt_to: str | Address | Sequence[str | Address] = "bob@example.com",
        message: object = "Subject: hello\n\nHello.\n",
    ) -> Reply:
        """Send a whole mail. The first reply that refuses it, or the one to the final dot; a refused recipient is left out.

        A mail without recipients is given up with RSET, so that the next one can be sent.
        """
        reply = self.mail(mail_from)
        if reply.code != 250:
            return reply
        rcpts = [rcpt_to] if isinstance(rcpt_to, str | Address) else rcpt_to
        replies = [self.rcpt(rcpt) for rcpt in rcpts]
        if not any(reply.code == 250 for reply in replies):
            if not self.closed:
                self.rset()
            return replies[0]
        return self.data(message)

    def rset(self) -> Reply:
        """Say RSET."""
        return self.command("RSET")

    def noop(self) -> Reply:
        """Say NOOP."""
        return self.command("NOOP")

    def vrfy(self, argument: str) -> Reply:
        """Say VRFY."""
        return self.command(f"VRFY {argument}")

    def auth(self, user: str, password: str) -> Reply:
        """Log in with AUTH PLAIN (RFC 4616). Says EHLO first if nothing was said yet."""
        if not self.connection.hello.verb:
            self.ehlo()
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {secret}")

    def starttls(self) -> Reply:
        """Say STARTTLS and do the handshake, for real; any certificate will do. Say EHLO again afterwards."""
        reply = self.command("STARTTLS")
        if reply.code == 220:
            from mta.net.tls_client import TlsClient  # few tests speak TLS, and it takes time to load

            self._wire.secure(TlsClient(ca=None).layer("mx.example.com"))
            self._sessions.wait_until(lambda: self.connection.tls.enabled or self.closed)
        return reply

    def quit(self) -> Reply:
        """Say QUIT, and wait until the session is over."""
        reply = self.command("QUIT")
        self.close()
        return reply

    # -- below the commands -------------------------------------------------------------------------------------------

    def command(self, line: str | bytes) -> Reply:
        """Send one line as it is, CRLF is added. Raises NoReply."""
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.read()

    def send(self, octets: bytes) -> None:
        """Send bytes as they are, and do not wait for an answer. Raises NoReply when the server has hung up."""
        try:
            self._wire.write(octets)
            self._wire.flush()
        except OSError as error:
            raise NoReply(self._sessions.explain("the server has hung up")) from error

    def read(self) -> Reply:
        """The next reply. Raises NoReply."""
        try:
            return read_reply(lambda: self._wire.read_line(LONGEST))
        except WireTimeout as error:
            raise NoReply(self._sessions.explain(f"no reply within {SECONDS:g} s")) from error
        except (EOFError, OSError) as error:
            raise NoReply(self._sessions.explain("the server has hung up")) from error

    def close(self) -> None:
        """Hang up without a word, and wait until the server has noticed. May be called again."""
        self._wire.close()
        self._sessions.wait_for(self.connection)


def _path(address: str | Address) -> str:
    text = str(address)
    return text if text.startswith("<") else f"<{text}>"
