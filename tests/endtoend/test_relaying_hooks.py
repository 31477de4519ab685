"""A client's mail between reception and queue: hooks queue_outbound and pre_send_trans_email, with every answer.

A real session hands over to a real engine; what it delivers is the proof of what was queued.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mta.plugin.hooks import Plugin
from mta.plugin.verdict import (
    CONT,
    DELAY,
    DENY,
    DENYDISCONNECT,
    DENYSOFT,
    DENYSOFTDISCONNECT,
    DISCONNECT,
    NEXT_HOOK,
    OK,
    STOP,
)
from tests.support.fake_mx import FakeMx
from tests.support.relay import Relay
from tests.support.server import eventually
from tests.support.service import Client, Denier, Inbound
from tests.support.stage import Failing, Relaying

QUEUED = "250 2.0.0 Message Queued ("
NO, LATER = "550 5.7.1 Message denied", "450 4.7.1 Message denied temporarily"


@pytest.fixture
def client(tmp_path: Path, mx: FakeMx) -> Iterator[Callable[..., tuple[Client, Relay]]]:
    """Connects to a server with one more plugin, which both sides ask; also gives its outbound side."""
    undo: list[Callable[[], None]] = []

    def connect(plugin: Plugin) -> tuple[Client, Relay]:
        relay = Relay(tmp_path / "queue", mx, plugin).start()
        undo.append(lambda: relay.stop(0))
        inbound = Inbound([Relaying(), plugin], relay.outbound.submit)
        inbound.__enter__()
        undo.append(inbound.__exit__)
        made = inbound.client()
        undo.append(made.close)
        return made, relay

    yield connect
    for each in reversed(undo):
        each()


def plugin_for(hook: str, answer: object) -> Plugin:
    return Failing(hook) if answer == "raise" else Denier(hook, answer)


Row = tuple[str, object, str, bool, bool]
TABLE: list[Row] = [  # hook, answer, reply, hangs up, is delivered
    *[("queue_outbound", answer, QUEUED, False, True) for answer in (None, CONT, STOP, NEXT_HOOK, DELAY)],
    ("queue_outbound", OK, QUEUED, False, False),
    ("queue_outbound", (OK, "taken"), "250 2.0.0 taken (", False, False),
    ("queue_outbound", DENY, NO, False, False),
    ("queue_outbound", (DENY, "no"), "550 5.7.1 no", False, False),
    ("queue_outbound", DENYSOFT, LATER, False, False),
    ("queue_outbound", DENYDISCONNECT, NO, True, False),
    ("queue_outbound", DISCONNECT, NO, True, False),
    ("queue_outbound", DENYSOFTDISCONNECT, LATER, True, False),
    ("queue_outbound", "raise", "450 4.7.1 plugin failure", False, False),
    *[("pre_send_trans_email", answer, QUEUED, False, True) for answer in (None, CONT, OK, STOP, DELAY)],
    *[("pre_send_trans_email", answer, QUEUED, False, True) for answer in (NEXT_HOOK, DISCONNECT)],
    ("pre_send_trans_email", "raise", "450 4.7.1 plugin failure", False, False),
    ("pre_send_trans_email", DENY, NO, False, False),
    ("pre_send_trans_email", (DENY, "no"), "550 5.7.1 no", False, False),
    ("pre_send_trans_email", DENYSOFT, LATER, False, False),
    ("pre_send_trans_email", DENYDISCONNECT, NO, True, False),
    ("pre_send_trans_email", DENYSOFTDISCONNECT, LATER, True, False),
]


@pytest.mark.parametrize(("hook", "answer", "reply", "hangs_up", "is_delivered"), TABLE)
def test_what_an_answer_does(
    hook: str,
    answer: object,
    reply: str,
    hangs_up: bool,
    is_delivered: bool,
    client: Callable[..., tuple[Client, Relay]],
    mx: FakeMx,
) -> None:
    sender, relay = client(plugin_for(hook, answer))
    assert sender.envelope("<ann@a.test>", "<joe@b.test>").startswith("354")
    assert sender.ask("Subject: hi\r\n\r\nbody\r\n.").startswith(reply)
    assert sender.read() == "" if hangs_up else sender.ask("NOOP").startswith("250")
    if is_delivered:
        assert eventually(lambda: mx.rcpts() == ["joe@b.test"])
    assert eventually(relay.empty)
    assert mx.rcpts() == (["joe@b.test"] if is_delivered else [])
