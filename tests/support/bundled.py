"""A receiving side on a loopback port that runs bundled plugins, with those of a test before and after them."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mta.plugin.hooks import Plugin
from mta.plugin.runner import HookRunner
from tests.support.plugins import plugins_of
from tests.support.service import Client, Inbound

HELLO = b"Subject: hello\r\n\r\nhello\r\n"


def inbound_with(
    install: Path,
    names: Sequence[str],
    files: Mapping[str, str] | None = None,
    *,
    before: Sequence[Plugin] = (),
    after: Sequence[Plugin] = (),
    **settings: Any,
) -> Inbound:
    """The running side; enter it. `before` and `after` are plugin objects around the bundled ones."""
    inbound = Inbound((), **settings)
    bundled = plugins_of(install, names, files or {}, inbound.logger)
    inbound.service.hooks = HookRunner([*before, *bundled, *after], inbound.logger)
    return inbound


class Talker(Client):
    """A client that decides itself when to read; `first` is what it says before it has read anything."""

    def __init__(self, port: int, first: bytes = b"") -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.sock.makefile("rb")
        self.send(first)
        self.banner = ""


def deliver(
    client: Client, message: bytes = HELLO, *rcpts: str, sender: str = "<a@example.org>"
) -> list[str]:
    """EHLO, MAIL, each RCPT, DATA and the message: every reply, up to the first DATA that is refused."""
    client.ask("EHLO client.test")
    replies = [client.ask(f"MAIL FROM:{sender}")]
    replies += [client.ask(f"RCPT TO:{rcpt}") for rcpt in rcpts or ("<b@example.com>",)]
    replies.append(client.ask("DATA"))
    if replies[-1].startswith("354"):
        client.send(message + b".\r\n")
        replies.append(client.read())
    return replies


class Relay(Plugin):
    """Lets every client relay."""

    name = "relay"

    def hook_connect_init(self, connection):
        connection.relaying = True
