"""Hook deny: what it is shown of a rejection, and what a pardon does, over the wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mta.plugin import CONT, OK, Plugin
from mta.plugin.verdict import DENY, DENYSOFT, REJECTIONS
from tests.support.dialogue import matches
from tests.support.hook_scenes import ASK_EVERYBODY, MAIL, RCPT, Accepts, scene_of
from tests.support.hook_table import CELLS, Cell, place_of
from tests.support.service import Denier, Inbound, Local
from tests.support.stage import Relaying


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
    scene = scene_of(cell)
    pardons = Pardons()
    before = [Relaying()] if scene.relays else []
    plugins = [*before, Denier(cell.hook, cell.answer), pardons, Accepts(but=cell.hook)]
    client = serve(*plugins, **scene.settings).client()
    reply = client.say(*scene.before, scene.line) if scene.line else client.banner
    assert matches(reply, cont.effect), reply
    assert pardons.shown[0] == (cell.hook, "denier", cell.code, "words")
    client.close()


def test_after_a_pardon_the_next_plugin_decides(serve: Callable[..., Inbound]) -> None:
    pardons = Pardons()
    one, two = Denier("rcpt", (DENYSOFT, "one")), Denier("rcpt", (DENY, "two"))
    client = serve(one, two, pardons, Local()).client()
    assert client.say("EHLO x", MAIL, RCPT) == "250 2.1.5 recipient <b@example.com> OK"
    assert [shown[3] for shown in pardons.shown] == ["one", "two"]


def test_a_pardon_may_depend_on_who_rejects_and_of_what(serve: Callable[..., Inbound]) -> None:
    class Postmaster(Plugin):
        name = "postmaster"

        def hook_deny(self, connection, denial):
            rcpt = denial.params[0] if denial.hook == "rcpt" else None
            return OK if rcpt is not None and rcpt.user == "postmaster" else None

    client = serve(Denier("rcpt", DENY), Postmaster(), Local()).client()
    client.say("EHLO x", MAIL)
    assert client.ask("RCPT TO:<postmaster@example.com>").startswith("250 ")
    assert client.ask(RCPT).startswith("550 ")
