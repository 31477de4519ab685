"""Every row of docs/Hooks.md about mail on its way out: a real engine, a next hop on a loopback port, and the fate of the recipient."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mta.plugin import Plugin
from tests.support.fake_mx import FakeMx
from tests.support.hook_table import CELLS, FAILING, RAISES, Cell, Failing, place_of
from tests.support.relay import Relay
from tests.support.server import eventually

JOE, SENDER = "joe@b.test", "sender@a.test"
SAID_TO_JOE = {"deferred": "450 busy", "bounce": "550 no"}


class Answers(Plugin):
    """Answers at one hook as told, about the first mail only: not about the report that may follow."""

    name = "answers"
    timeout = 5.0

    def __init__(self, hook: str, answer: Callable[[], object]) -> None:
        self._answer = answer
        self.asked = 0
        self.register_hook(hook, self.answer)

    def answer(self, *args: object) -> object:
        self.asked += 1
        return self._answer() if self.asked == 1 else None


def raises() -> None:
    raise ValueError("deliberately")


def has_fate(fate: str, relay: Relay, mx: FakeMx) -> bool:
    """True when the recipient has met with what a row says."""
    name, _, text = fate.partition(": ")
    waits = re.fullmatch(r"waits (\d+) s(, not counted)?", fate)
    if waits is not None:
        return not mx.rcpts() and _waits(relay, int(waits[1]), counted=waits[2] is None)
    if not relay.empty():
        return False
    if name == "reported":
        return mx.rcpts() == [SENDER] and text.encode() in mx.messages[0].data
    return mx.rcpts() == {"delivered": [JOE], "dropped": []}[name]


def _waits(relay: Relay, seconds: int, *, counted: bool) -> bool:
    """The schedule is spread a little (retry_jitter)."""
    entries = relay.entries()
    if len(entries) != 1 or entries[0].next_attempt <= entries[0].arrival:
        return False
    wait = (entries[0].next_attempt - entries[0].arrival) / 1000
    return 0.6 * seconds <= wait < 1.4 * seconds + 30 and entries[0].attempts == int(counted)


@pytest.fixture
def relay(tmp_path: Path, mx: FakeMx) -> Iterator[Callable[[Plugin], Relay]]:
    made: list[Relay] = []

    def make(plugin: Plugin) -> Relay:
        made.append(Relay(tmp_path / "queue", mx, plugin).start())
        return made[-1]

    yield make
    for each in made:
        each.stop(0)


@pytest.fixture
def play(relay: Callable[[Plugin], Relay], mx: FakeMx) -> Callable[[Answers, Cell], None]:
    """Plays one row with the plugin that it is about."""

    def perform(plugin: Answers, cell: Cell) -> None:
        mx.reply("rcpt", SAID_TO_JOE.get(cell.hook, "250 ok"), rcpt=JOE)
        out = relay(plugin)
        out.submit(JOE, mail_from=SENDER)
        met = eventually(lambda: plugin.asked and has_fate(cell.effect, out, mx))
        assert met, (out.entries(), mx.rcpts(), out.lines)

    return perform


ROWS = [cell for cell in CELLS if place_of(cell.hook) == "outbound"]
FAILURES = [failing for failing in FAILING if place_of(failing.cell.hook) == "outbound"]


@pytest.mark.parametrize("cell", ROWS, ids=str)
def test_row(cell: Cell, play: Callable[[Answers, Cell], None]) -> None:
    play(Answers(cell.hook, lambda: cell.answer), cell)


@pytest.mark.parametrize("failing", FAILURES, ids=str)
def test_a_plugin_that_fails(failing: Failing, play: Callable[[Answers, Cell], None]) -> None:
    plugin = Answers(failing.cell.hook, raises if failing.how == RAISES else lambda: time.sleep(60))
    plugin.timeout = 0.05
    play(plugin, failing.cell)
