"""NEXT_HOOK, skip_plugins, priorities, and plugins that misbehave, over the wire."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from mta.plugin import OK, Plugin
from mta.plugin.verdict import DENY, NEXT_HOOK
from tests.support.dialogue import matches
from tests.support.hook_scenes import MAIL, RCPT
from tests.support.install import eventually
from tests.support.service import Denier, Inbound, Local

# ---- NEXT_HOOK

HELLO = ("EHLO client.test",)
NEXT = [  # the hook named, what was said before, the argument, the reply
    ("connect_init", HELLO, "", "220 mx.example.test ESMTP *"),
    ("lookup_rdns", HELLO, "", "220 mx.example.test ESMTP *"),
    ("connect", HELLO, "", "220 mx.example.test ESMTP *"),
    ("helo", (), "client.test", "250 mx.example.test Hello *"),
    ("ehlo", (), "client.test", "250-mx.example.test Hello *250 *"),
    ("ehlo", (), "", "501 5.5.4 EHLO requires *"),
    ("mail", HELLO, "FROM:<a@example.org>", "250 2.1.0 sender <a@example.org> OK"),
    ("mail", (), "FROM:<a@example.org>", "503 5.5.1 Use EHLO/HELO before MAIL"),
    ("rcpt", (*HELLO, MAIL), "TO:<b@example.com>", "250 2.1.5 recipient <b@example.com> OK"),
    ("rcpt", HELLO, "TO:<b@example.com>", "503 5.5.1 Use MAIL before RCPT"),
    ("data", (*HELLO, MAIL, RCPT), "", "354 go ahead, make my day"),
    ("rset", HELLO, "", "250 2.0.0 OK"),
    ("noop", HELLO, "at all", "250 2.0.0 OK"),
    ("vrfy", HELLO, "b", "252 2.5.0 *"),
    ("quit", HELLO, "", "221 2.0.0 *"),
    ("queue", HELLO, "", "500 5.5.1 Unrecognized command"),
    ("no_such_hook", HELLO, "", "500 5.5.1 Unrecognized command"),
]


@pytest.mark.parametrize(("hook", "before", "argument", "reply"), NEXT)
def test_next_hook(
    hook: str, before: tuple[str, ...], argument: str, reply: str, serve: Callable[..., Inbound]
) -> None:
    inbound = serve(Denier("unrecognized_command", (NEXT_HOOK, hook)), Local())
    client = inbound.client()
    for line in before:
        client.ask(line)
    got = client.ask(f"XSYNONYM {argument}".rstrip())
    assert matches(got, reply), got
    complaints = [line for line in inbound.lines if f"names no hook that could come next: {hook}" in line]
    assert len(complaints) == (got == "500 5.5.1 Unrecognized command")


def test_next_hook_asks_from_that_hook_on(serve: Callable[..., Inbound]) -> None:
    asked: list[str] = []

    class Watches(Plugin):
        name = "watches"

        def register(self):
            for hook in ("connect_init", "lookup_rdns", "connect"):
                self.register_hook(hook, lambda connection, hook=hook: asked.append(hook))

        def hook_unrecognized_command(self, connection, verb, argument):
            return NEXT_HOOK, argument

    watches = Watches()
    watches.register()
    client = serve(watches).client()
    for hook, expected in (
        ("connect_init", ["connect_init", "lookup_rdns", "connect"]),
        ("lookup_rdns", ["lookup_rdns", "connect"]),
        ("connect", ["connect"]),
    ):
        asked.clear()
        assert client.ask(f"X {hook}").startswith("220 ")
        assert asked == expected


# ---- who is asked


def test_skip_plugins_holds_for_one_mail(serve: Callable[..., Inbound]) -> None:
    class Skips(Plugin):
        name = "skips"

        def hook_mail(self, connection, mail_from, params):
            if mail_from.user == "friend":
                connection.transaction.notes.skip_plugins.append("denier")

    client = serve(Skips(), Denier("rcpt", DENY), Local()).client()
    assert client.say("EHLO x", "MAIL FROM:<friend@example.org>", RCPT).startswith("250 ")
    assert client.say("RSET", MAIL, RCPT).startswith("550 ")
    assert client.say("RSET", "MAIL FROM:<friend@example.org>", RCPT).startswith("250 ")


@pytest.mark.parametrize(("priority", "reply"), [(-100, "550 5.7.1 words"), (0, "250 *"), (100, "250 *")])
def test_priority_decides_who_is_first(priority: int, reply: str, serve: Callable[..., Inbound]) -> None:
    class Late(Plugin):
        name = "late"

        def __init__(self) -> None:
            self.register_hook("rcpt", lambda *args: (DENY, "words"), priority)

    client = serve(Local(), Late()).client()
    assert matches(client.say("EHLO x", MAIL, RCPT), reply)


# ---- plugins that misbehave


def test_a_plugin_can_not_end_the_server(serve: Callable[..., Inbound]) -> None:
    class Exits(Plugin):
        name = "exits"

        def hook_noop(self, connection, argument):
            sys.exit("so long")

    inbound = serve(Exits())
    for _ in range(2):
        assert inbound.client().ask("NOOP") == "250 2.0.0 OK"
    assert sum("Plugin exits failed on hook noop: SystemExit: so long" in line for line in inbound.lines) == 2


@pytest.mark.parametrize("hook", ["reset_transaction", "disconnect"])
def test_nobody_is_left_to_be_asked_at_the_end(hook: str, serve: Callable[..., Inbound]) -> None:
    """A plugin that talks to a client who has gone fails alone: the session ends as it should."""
    ended: list[str] = []

    class Asks(Plugin):
        name = "asks"

    class Ends(Plugin):
        name = "ends"

        def hook_disconnect(self, connection):
            ended.append(connection.uuid)

    asks = Asks()
    asks.register_hook(hook, lambda connection: (OK, connection.ask(334, "are you there?")))
    inbound = serve(asks, Ends())
    client = inbound.client()
    client.say("EHLO x", MAIL)
    client.close()
    assert eventually(lambda: ended and inbound.listener.count == 0)
    assert any(f"Plugin asks failed on hook {hook}" in line for line in inbound.lines)
    assert any("disconnect" in line and "[NOTICE]" in line for line in inbound.lines)
