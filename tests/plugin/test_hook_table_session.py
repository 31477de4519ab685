"""Every row of docs/Hooks.md that a client can see, played over a socket against a running server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mta.plugin import Plugin
from mta.plugin.verdict import CONT, DENY
from mta.smtp.reply import Reply
from mta.transaction import Transaction
from tests.support.dialogue import matches
from tests.support.hook_scenes import ASK_EVERYBODY, MAIL, MESSAGE, RCPT, Accepts, Scene, scene_of
from tests.support.hook_table import CELLS, FAILING, RAISES, Cell, Failing, place_of
from tests.support.relay import Relay
from tests.support.service import Client, Denier, Inbound
from tests.support.stage import MADE, Relaying


class Next(Plugin):
    """Counts how often it is asked; it stands behind the plugin that answers."""

    name = "next"

    def __init__(self, hook: str) -> None:
        self.asked = 0
        self.register_hook(hook, self.count)

    def count(self, *args: object) -> None:
        self.asked += 1


@dataclass
class Play:
    """One row on its way: the client after the reply that the row is about."""

    client: Client
    kept: Callable[[], int]
    cell: Cell
    reply: str

    def hangs_up(self) -> None:
        assert self.client.read() == ""
        assert self.kept() == 0

    def goes_on(self) -> None:
        assert self.client.ask("RSET") == "250 2.0.0 OK"

    def refuses_all(self) -> None:
        assert self.client.ask("EHLO client.test") == self.reply
        assert self.client.ask("NOOP") == self.reply
        assert self.client.ask("QUIT").startswith("221 ")

    def greeted(self) -> None:
        assert self.client.ask(MAIL).startswith("250 ")

    def not_greeted(self) -> None:
        assert self.client.ask(MAIL) == "503 5.5.1 Use EHLO/HELO before MAIL"

    def in_a_mail(self) -> None:
        assert self.client.ask(RCPT).startswith("250 ")

    def no_mail(self) -> None:
        assert self.client.ask(RCPT) == "503 5.5.1 Use MAIL before RCPT"

    def a_recipient(self) -> None:
        assert self.client.ask("DATA").startswith("354 ")

    def no_recipient(self) -> None:
        assert self.client.ask("DATA") == "503 5.5.1 RCPT required first"

    def is_kept(self) -> None:
        if self.reply.startswith("354"):
            assert self.client.ask(MESSAGE).startswith("250 ")
        assert self.kept() == 1
        self.no_mail()

    def not_kept(self) -> None:
        assert self.kept() == 0
        self.no_mail()


THEN: dict[str, Callable[[Play], None]] = {
    "goes on": Play.goes_on,
    "hangs up": Play.hangs_up,
    "refuses all": Play.refuses_all,
    "greeted": Play.greeted,
    "not greeted": Play.not_greeted,
    "in a mail": Play.in_a_mail,
    "no mail": Play.no_mail,
    "a recipient": Play.a_recipient,
    "no recipient": Play.no_recipient,
    "kept": Play.is_kept,
    "not kept": Play.not_kept,
}


class Stage:
    """A server with the plugin that answers, one behind it, and one that accepts what nobody else decides about."""

    def __init__(self, plugin: Plugin, cell: Cell, scene: Scene, directory: Path) -> None:
        self.next = Next(cell.hook)
        self.accepts = Accepts(but=cell.hook)
        self._submitted = 0
        self._relay: Relay | None = None
        answering = [plugin, self.next]
        before = [Relaying()] if scene.relays else []
        if cell.hook == "deny":
            before.append(Denier("mail", DENY))
        submit = self._submit
        if cell.hook == "pre_send_trans_email":
            self._relay = Relay(directory / "queue", None, *answering, disabled=True).start()
            submit = self._relay.outbound.submit
        self.inbound = Inbound([*before, *answering, self.accepts], submit, **scene.settings)

    def _submit(self, transaction: Transaction) -> Reply:
        self._submitted += 1
        return Reply(250, f"Message Queued ({transaction.uuid})", "2.0.0")

    def kept(self) -> int:
        waiting = len(self._relay.entries()) if self._relay else 0
        return self.accepts.kept + self._submitted + waiting

    def close(self) -> None:
        self.inbound.__exit__()
        if self._relay:
            self._relay.stop(0)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[[Plugin, Cell], None]]:
    """Plays one row with the plugin that it is about."""
    stages: list[Stage] = []

    def perform(plugin: Plugin, cell: Cell) -> None:
        scene = scene_of(cell)
        stages.append(Stage(plugin, cell, scene, tmp_path))
        stages[-1].inbound.__enter__()
        _play(stages[-1], cell, scene)

    yield perform
    for stage in stages:
        stage.close()


def _play(stage: Stage, cell: Cell, scene: Scene) -> None:
    client = stage.inbound.client()
    reply = client.banner
    for line in scene.before:
        reply = client.ask(line)
        assert reply[0] in "23", reply
    if scene.line and reply.startswith(("2", "3")):
        reply = _ask(client, scene.line, cell.effect)
    assert matches(reply, cell.effect), reply
    THEN[cell.then](Play(client, stage.kept, cell, reply))
    client.close()
    _next_was_asked_if_nobody_decided(cell, stage)


def _ask(client: Client, line: str, effect: str) -> str:
    """The reply; "nothing" when none is due, and then the next command's is the next."""
    if effect != "nothing":
        return client.ask(line)
    client.send(line.encode() + b"\r\n")
    return effect


def _next_was_asked_if_nobody_decided(cell: Cell, stage: Stage) -> None:
    undecided = cell.code is CONT or cell.hook in ASK_EVERYBODY
    if cell.hook == "disconnect":
        stage.inbound.listener.stop()
        stage.inbound.listener.join(5)
    assert bool(stage.next.asked) == undecided


ROWS = [cell for cell in CELLS if place_of(cell.hook) == "session"]
FAILURES = [failing for failing in FAILING if place_of(failing.cell.hook) == "session"]


@pytest.mark.parametrize("cell", ROWS, ids=str)
def test_row(cell: Cell, play: Callable[[Plugin, Cell], None]) -> None:
    play(Denier(cell.hook, cell.answer), cell)


@pytest.mark.parametrize("failing", FAILURES, ids=str)
def test_a_plugin_that_fails(failing: Failing, play: Callable[[Plugin, Cell], None]) -> None:
    play(MADE["failing" if failing.how == RAISES else "slow"](failing.cell.hook), failing.cell)
