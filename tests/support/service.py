"""A receiving side on a free loopback port, made of the real parts, with the plugins and settings a test gives it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mta.config.schema import ConnectionSettings, SmtpSettings
from mta.inbound.listener import Listener
from mta.inbound.service import Service
from mta.logger import Logger
from mta.net.dns import Resolver
from mta.net.endpoint import Endpoint
from mta.plugin.hooks import Plugin
from mta.plugin.runner import HookRunner
from mta.plugin.verdict import DENY, OK
from mta.smtp.reply import Reply
from mta.transaction import Transaction


class Local(Plugin):
    """Accepts recipients in example.com and keeps the mail: `mails` holds (sender, recipients, message as stored)."""

    name = "local"

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []

    def hook_rcpt(self, connection, rcpt, params):
        return OK if rcpt.host == "example.com" else None

    def hook_queue(self, connection):
        t = connection.transaction
        self.mails.append(
            (str(t.mail_from), [str(rcpt) for rcpt in t.rcpt_to], b"".join(t.message_stream.chunks()))
        )
        return OK


class Denier(Plugin):
    """Answers one hook as told."""

    name = "denier"

    def __init__(self, hook: str, answer: object) -> None:
        self.register_hook(hook, lambda *args: answer)


class Inbound:
    """A running listener; `lines` is its log. Use it as a context manager."""

    def __init__(
        self,
        plugins: Sequence[Plugin] = (),
        submit: Callable[[Transaction], Reply] | None = None,
        log_level: int = 5,
        **settings: Any,
    ) -> None:
        self.lines: list[str] = []
        self.logger = Logger(log_level, write=self.lines.append)
        self.endpoint = Endpoint.parse("127.0.0.1:0").bind()
        self.port = self.endpoint.getsockname()[1]
        smtp = replace(SmtpSettings(), inactivity_timeout=settings.pop("inactivity_timeout", 300))
        self.service = Service(
            me="mx.example.test",
            version="1.0",
            smtp=smtp,
            settings=replace(ConnectionSettings(), **settings),
            hooks=HookRunner(plugins, self.logger),
            logger=self.logger,
            resolver=Resolver(["127.0.0.1"], port=9, timeout=0.1, lifetime=0.1),
            submit=submit
            or (lambda transaction: Reply(250, f"Message Queued ({transaction.uuid})", "2.0.0")),
        )
        self.listener = Listener([self.endpoint], self.service)

    def __enter__(self) -> Inbound:
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.stop()

    def client(self) -> Client:
        """A connected client that has read the banner."""
        return Client(self.port)


class Client:
    """A plain socket that sends bytes and reads replies."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.sock.makefile("rb")
        self.banner = self.read()

    def read(self) -> str:
        """One whole reply, lines joined by a line feed, without CRLF; "" at the end."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return "\n".join(lines)
            assert line.endswith(b"\r\n"), line
            lines.append(line.decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, line: str | bytes) -> str:
        """Send one line, return the reply."""
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.read()

    def say(self, *lines: str) -> str:
        """Send lines one by one; the reply to the last."""
        return [self.ask(line) for line in lines][-1]

    def envelope(self, sender: str = "<a@example.org>", *rcpts: str) -> str:
        """EHLO, MAIL, RCPT, DATA: return the reply to DATA."""
        self.ask("EHLO client.test")
        self.ask(f"MAIL FROM:{sender}")
        for rcpt in rcpts or ("<b@example.com>",):
            self.ask(f"RCPT TO:{rcpt}")
        return self.ask("DATA")

    def close(self) -> None:
        self.file.close()
        self.sock.close()


__all__ = ["DENY", "OK", "Client", "Denier", "Inbound", "Local"]
