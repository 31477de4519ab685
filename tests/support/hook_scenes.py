"""How a client comes to each hook of docs/Hooks.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mta.plugin import OK, Plugin
from tests.support.hook_table import Cell

ASK_EVERYBODY = ("connect_init", "disconnect")
MAIL, RCPT = "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.com>"
MESSAGE = "Subject: much longer than twenty octets\r\n\r\nbody\r\n."

HELLO = ("EHLO client.test",)
IN_MAIL = (*HELLO, MAIL)
WITH_RCPT = (*IN_MAIL, RCPT)
IN_DATA = (*WITH_RCPT, "DATA")


class Accepts(Plugin):
    """Accepts recipients and keeps mail, but leaves out the hook that a row is about."""

    name = "accepts"

    def __init__(self, but: str) -> None:
        self.kept = 0
        for hook, method in (("rcpt", self.accept), ("queue", self.keep)):
            if hook != but:
                self.register_hook(hook, method)

    def accept(self, connection, rcpt, params):
        return OK

    def keep(self, connection):
        self.kept += 1
        return OK


@dataclass(frozen=True)
class Scene:
    """How a client comes to a hook: what it says before, and what is answered then. "" is the banner."""

    before: tuple[str, ...] = ()
    line: str = ""
    relays: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


SCENES = {
    "connect_init": Scene(),
    "lookup_rdns": Scene((), "HELO client.test"),
    "connect": Scene(),
    "helo": Scene((), "HELO client.test"),
    "ehlo": Scene((), "EHLO client.test"),
    "capabilities": Scene((), "EHLO client.test"),
    "unrecognized_command": Scene(HELLO, "WIZ now"),
    "vrfy": Scene(HELLO, "VRFY somebody"),
    "noop": Scene(HELLO, "NOOP"),
    "rset": Scene(IN_MAIL, "RSET"),
    "quit": Scene(HELLO, "QUIT"),
    "deny": Scene(HELLO, MAIL),
    "disconnect": Scene(HELLO, "QUIT"),
    "mail": Scene(HELLO, MAIL),
    "rcpt": Scene(IN_MAIL, RCPT),
    "rcpt, client that may relay": Scene(IN_MAIL, RCPT, relays=True),
    "rcpt_ok": Scene(IN_MAIL, RCPT),
    "data": Scene(WITH_RCPT, "DATA"),
    "max_data_exceeded": Scene(IN_DATA, MESSAGE, settings={"max_bytes": 20}),
    "data_post": Scene(IN_DATA, MESSAGE),
    "queue": Scene(IN_DATA, MESSAGE),
    "queue_outbound": Scene(IN_DATA, MESSAGE, relays=True),
    "pre_send_trans_email": Scene(IN_DATA, MESSAGE, relays=True),
    "queue_ok": Scene(IN_DATA, MESSAGE),
    "reset_transaction": Scene(IN_MAIL, "RSET"),
}


def scene_of(cell: Cell) -> Scene:
    """The scene of a row."""
    return SCENES[", ".join(filter(None, (cell.hook, cell.case)))]
