"""What docs/Hooks.md says in words: pardons, NEXT_HOOK, messages and their DSNs, skip_plugins, and plugins that misbehave."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from mta.plugin import CONT, DSN, OK, Plugin
from mta.plugin.runner import ASK_EVERYBODY
from mta.plugin.verdict import DENY, DENYDISCONNECT, DENYSOFT, NEXT_HOOK, REJECTIONS
from tests.plugin.test_hook_table import place_of
from tests.plugin.test_hook_table_session import MAIL, MESSAGE, RCPT, SCENES, Accepts
from tests.support.dialogue import matches
from tests.support.hook_table import CELLS, Cell
from tests.support.install import eventually
from tests.support.service import Client, Denier, Inbound, Local
from tests.support.stage import Relaying


@pytest.fixture
def serve() -> Iterator[Callable[..., Inbound]]:
    """Serves with these plugins."""
    running: list[Inbound] = []

    def start(*plugins: Plugin, **settings: object) -> Inbound:
        running.append(Inbound(plugins, **settings).__enter__())
        return running[-1]

    yield start
    for inbound in running:
        inbound.__exit__()


def say(client: Client, *lines: str) -> str:
    """The reply to the last of these lines."""
    return [client.ask(line) for line in lines][-1]


# ---- pardons


class Pardons(Plugin):
    """Forgives the first rejection that it is shown, and remembers it."""

    name = "pardons"

    def __init__(self) -> None:
        self.shown: list[tuple[object, ...]] = []

    def hook_deny(self, connection, denial):
        self.shown.append((denial.hook, denial.plugin, denial.code, denial.message))
        return OK


# These two have a table without rejections: one asks everybody, the other is the pardon itself.
PARDONED = [
    cell
    for cell in CELLS
    if place_of(cell.hook) == "session"
    and cell.code in REJECTIONS
    and cell.column == '"words"'
    and cell.hook not in (*ASK_EVERYBODY, "deny", "pre_send_trans_email")
]


@pytest.mark.parametrize("cell", PARDONED, ids=str)
def test_a_pardon_makes_it_what_cont_is(cell: Cell, serve: Callable[..., Inbound]) -> None:
    (cont,) = (
        other
        for other in CELLS
        if (other.hook, other.case, other.code, other.column) == (cell.hook, cell.case, CONT, "alone")
    )
    scene = SCENES[", ".join(filter(None, (cell.hook, cell.case)))]
    pardons = Pardons()
    before = [Relaying()] if scene.relays else []
    plugins = [*before, Denier(cell.hook, cell.answer), pardons, Accepts(but=cell.hook)]
    client = serve(*plugins, **scene.settings).client()
    reply = say(client, *scene.before, scene.line) if scene.line else client.banner
    assert matches(reply, cont.effect), reply
    assert pardons.shown[0] == (cell.hook, "denier", cell.code, "words")
    client.close()


def test_after_a_pardon_the_next_plugin_decides(serve: Callable[..., Inbound]) -> None:
    pardons = Pardons()
    one, two = Denier("rcpt", (DENYSOFT, "one")), Denier("rcpt", (DENY, "two"))
    client = serve(one, two, pardons, Local()).client()
    assert say(client, "EHLO x", MAIL, RCPT) == "250 2.1.5 recipient <b@example.com> OK"
    assert [shown[3] for shown in pardons.shown] == ["one", "two"]


def test_a_pardon_may_depend_on_who_rejects_and_of_what(serve: Callable[..., Inbound]) -> None:
    class Postmaster(Plugin):
        name = "postmaster"

        def hook_deny(self, connection, denial):
            rcpt = denial.params[0] if denial.hook == "rcpt" else None
            return OK if rcpt is not None and rcpt.user == "postmaster" else None

    client = serve(Denier("rcpt", DENY), Postmaster(), Local()).client()
    say(client, "EHLO x", MAIL)
    assert client.ask("RCPT TO:<postmaster@example.com>").startswith("250 ")
    assert client.ask(RCPT).startswith("550 ")


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


# ---- messages

MESSAGES = [  # hook, answer, reply
    ("rcpt", (DENY, ["one", "two"]), "550-5.7.1 one\n550 5.7.1 two"),
    ("rcpt", (DENY, "one\ntwo"), "550-5.7.1 one\n550 5.7.1 two"),
    ("rcpt", (DENY, ""), "550 5.7.1 recipient <b@example.com> denied"),
    ("rcpt", (DENY, "5.2.1 gone"), "550 5.2.1 gone"),
    ("rcpt", (DENYSOFT, "5.2.1 gone"), "450 4.7.1 5.2.1 gone"),
    ("rcpt", (DENY, DSN.mbox_full("full")), "450 4.2.2 full"),
    ("rcpt", (DENYSOFT, DSN.no_such_user()), "550 5.1.1 No such user"),
    ("rcpt", (DENY, DSN.create(552, ["one", "two"], 2, 2)), "552-5.2.2 one\n552 5.2.2 two"),
    ("rcpt", (DENYDISCONNECT, DSN.mbox_full("full")), "450 4.2.2 full"),
    ("rcpt", (DENY, DSN.addr_rcpt_ok("fine")), "550 5.7.1 fine"),
    ("rcpt", (OK, DSN.addr_rcpt_ok("fine")), "250 2.1.5 fine"),
    ("rcpt", (OK, DSN.create(250, "moved", 1, 6)), "250 2.1.6 moved"),
    ("rcpt", (OK, DSN.mbox_full("full")), "250 2.1.5 full"),
    ("rcpt", (OK, ["one", "two"]), "250-2.1.5 one\n250 2.1.5 two"),
]


@pytest.mark.parametrize(("hook", "answer", "reply"), MESSAGES)
def test_messages(hook: str, answer: object, reply: str, serve: Callable[..., Inbound]) -> None:
    client = serve(Denier(hook, answer)).client()
    assert say(client, "EHLO x", MAIL, RCPT) == reply
    if answer[0] is not DENYDISCONNECT:
        assert client.ask("DATA")[:3] == ("354" if answer[0] is OK else "503")


def test_a_banner_stays_a_banner(serve: Callable[..., Inbound]) -> None:
    for dsn in (DSN.addr_rcpt_ok("hi"), DSN.no_such_user("hi")):
        assert serve(Denier("connect", (OK, dsn))).client().banner == "220 hi"


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        (["kept", "by us"], "250-2.0.0 kept\n250 2.0.0 by us (*.1)"),
        ("2.6.0 kept", "250 2.6.0 kept (*.1)"),
        (DSN.no_such_user("kept"), "250 2.0.0 kept (*.1)"),
    ],
)
def test_the_words_of_a_queue(message: object, reply: str, serve: Callable[..., Inbound]) -> None:
    class Listens(Plugin):
        name = "listens"
        heard = ""

        def hook_queue_ok(self, connection, message):
            self.heard = message

    listens = Listens()
    client = serve(Denier("rcpt", OK), Denier("queue", (OK, message)), listens).client()
    client.envelope()
    got = client.ask(MESSAGE)
    assert matches(got, reply), got
    assert listens.heard == " ".join(line[4:].partition(" ")[2] for line in got.split("\n"))


# ---- who is asked


def test_skip_plugins_holds_for_one_mail(serve: Callable[..., Inbound]) -> None:
    class Skips(Plugin):
        name = "skips"

        def hook_mail(self, connection, mail_from, params):
            if mail_from.user == "friend":
                connection.transaction.notes.skip_plugins.append("denier")

    client = serve(Skips(), Denier("rcpt", DENY), Local()).client()
    assert say(client, "EHLO x", "MAIL FROM:<friend@example.org>", RCPT).startswith("250 ")
    assert say(client, "RSET", MAIL, RCPT).startswith("550 ")
    assert say(client, "RSET", "MAIL FROM:<friend@example.org>", RCPT).startswith("250 ")


@pytest.mark.parametrize(("priority", "reply"), [(-100, "550 5.7.1 words"), (0, "250 *"), (100, "250 *")])
def test_priority_decides_who_is_first(priority: int, reply: str, serve: Callable[..., Inbound]) -> None:
    class Late(Plugin):
        name = "late"

        def __init__(self) -> None:
            self.register_hook("rcpt", lambda *args: (DENY, "words"), priority)

    client = serve(Local(), Late()).client()
    assert matches(say(client, "EHLO x", MAIL, RCPT), reply)


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
    say(client, "EHLO x", MAIL)
    client.close()
    assert eventually(lambda: ended and inbound.listener.count == 0)
    assert any(f"Plugin asks failed on hook {hook}" in line for line in inbound.lines)
    assert any("disconnect" in line and "[NOTICE]" in line for line in inbound.lines)
