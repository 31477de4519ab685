"""The message that comes with an answer: text, lines, a DSN, and what the client reads of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mta.plugin import DSN, OK, Plugin
from mta.plugin.verdict import DENY, DENYDISCONNECT, DENYSOFT
from tests.support.dialogue import matches
from tests.support.hook_scenes import MAIL, MESSAGE, RCPT
from tests.support.service import Denier, Inbound

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
    assert client.say("EHLO x", MAIL, RCPT) == reply
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
