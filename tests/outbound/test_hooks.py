"""Hooks of mails on their way out: what they are given, and answers that are more than a code (docs/Hooks.md has the codes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mta.connection import Connection
from mta.net.next_hop import NextHop
from mta.plugin.hooks import Plugin
from mta.plugin.outcome import Deferral, Failure, Receipt
from mta.plugin.verdict import (
    DELAY,
    DENY,
    DENYSOFT,
    OK,
)
from mta.smtp.address import Address
from tests.support.fake_mx import FakeMx
from tests.support.outbound import queue_files
from tests.support.relay import MESSAGE, Relay
from tests.support.server import eventually

Check = Callable[[Relay, FakeMx], bool]
DOTS = MESSAGE + b".dot\r\n"
JOE, SENDER = "joe@b.test", "sender@a.test"


class Answers(Plugin):
    """Answers one hook as told, to the first mail that it sees, and remembers what it was given."""

    name = "answers"

    def __init__(self, hook: str, answer: object) -> None:
        self.given: list[tuple[Any, ...]] = []
        self._answer = answer
        self.register_hook(hook, self.reply)

    def reply(self, *args: Any) -> Any:
        self.given.append(args)
        if len(self.given) > 1:
            return None
        return self._answer


@pytest.fixture
def relay(tmp_path: Path, mx: FakeMx) -> Iterator[Callable[..., Relay]]:
    made: list[Relay] = []

    def make(*plugins: Plugin, **settings: object) -> Relay:
        made.append(Relay(tmp_path / "queue", mx, *plugins, **settings).start())
        return made[-1]

    yield make
    for each in made:
        each.stop(0)


def delivered(relay: Relay, mx: FakeMx) -> bool:
    return relay.empty() and mx.rcpts() == [JOE]


def dropped(relay: Relay, mx: FakeMx) -> bool:
    return relay.empty() and mx.rcpts() == []


def waits(seconds: int, attempts: int) -> Check:
    """Put off, on disk, for about so many seconds."""

    def check(relay: Relay, mx: FakeMx) -> bool:
        (name,) = relay.entries() or [None]
        if name is None or name.next_attempt <= name.arrival or mx.rcpts():
            return False
        wait = (name.next_attempt - name.arrival) / 1000
        return 0.6 * seconds <= wait < 1.4 * seconds + 30 and name.attempts == attempts

    check.__name__ = f"waits_{seconds}"
    return check


def elsewhere(relay: Relay, mx: FakeMx) -> bool:
    """The host that the plugin named was asked instead: nobody listens there."""
    return waits(64, 1)(relay, mx) and mx.sessions == 0


NOBODY = "127.0.0.1:1"
TABLE: list[tuple[str, str, object, Check]] = [
    ("send_email", "250 ok", (DELAY, 3600), waits(3600, 0)),
    ("send_email", "250 ok", (DELAY, "7200"), waits(7200, 0)),
    ("get_mx", "250 ok", (OK, NOBODY), elsewhere),
    ("get_mx", "250 ok", (OK, f"smtp://{NOBODY}"), elsewhere),
    ("get_mx", "250 ok", (OK, {"exchange": "127.0.0.1", "port": 1}), elsewhere),
    ("get_mx", "250 ok", (OK, [NextHop("127.0.0.1", 1)]), elsewhere),
    ("get_mx", "250 ok", (OK, object()), waits(64, 1)),
    ("deferred", "450 busy", (DENYSOFT, "7200"), waits(7200, 1)),
]


@pytest.mark.parametrize(("hook", "reply", "answer", "outcome"), TABLE)
def test_what_an_answer_does(
    hook: str, reply: str, answer: object, outcome: Check, relay: Callable[..., Relay], mx: FakeMx
) -> None:
    mx.reply("rcpt", reply, rcpt=JOE)
    plugin = Answers(hook, answer)
    out = relay(plugin)
    out.submit()
    assert eventually(lambda: outcome(out, mx)), (queue_files(out.directory), mx.rcpts(), out.lines)
    assert plugin.given


# -- a delay of send_email is a promise


def test_delay_of_send_email_survives_a_restart(relay: Callable[..., Relay], mx: FakeMx) -> None:
    plugin = Answers("send_email", (DELAY, 3600))
    out = relay(plugin)
    out.submit()
    assert eventually(lambda: waits(3600, 0)(out, mx))
    before = queue_files(out.directory)
    out.stop()
    out.start()
    assert eventually(lambda: out.outbound.engine.waiting == 1)
    assert (queue_files(out.directory), mx.sessions, len(plugin.given)) == (before, 0, 1)
    out.outbound.flush()
    assert eventually(lambda: delivered(out, mx))
    assert len(plugin.given) == 2


# -- what the hooks are given


def test_what_send_email_and_get_mx_are_given(relay: Callable[..., Relay], mx: FakeMx) -> None:
    seen: dict[str, object] = {}

    class Look(Plugin):
        def hook_send_email(self, hmail):
            seen["file"] = hmail.data_stream().read()
            seen["stuffed"] = hmail.data_stream(stuffed=True).read()
            seen["header"] = (hmail.header.get("Subject"), hmail.header is hmail.header)
            seen["name"] = (hmail.filename, hmail.uuid, hmail.num_failures, hmail.name.attempts)
            seen["todo"] = (hmail.todo.domain, hmail.todo.mail_from, hmail.todo.rcpt_to, hmail.todo.notes)
            hmail.notes.asked = True

        def hook_get_mx(self, hmail, domain):
            seen["get_mx"] = (domain, hmail.notes.asked)

    out = relay(Look())
    out.submit(message=DOTS)
    assert eventually(lambda: delivered(out, mx))
    assert seen["file"].endswith(DOTS) and seen["file"].startswith(b"Received: ")
    assert seen["stuffed"] == seen["file"].replace(b"\r\n.dot", b"\r\n..dot") == mx.messages[0].data
    assert seen["header"] == ("hi", True)
    name, uuid, failures, attempts = seen["name"]
    assert (name.split("_")[2], uuid, failures, attempts) == ("0", "UUID.1.1", 0, 0)
    sender, joe = Address.parse(SENDER), Address.parse(JOE)
    assert seen["todo"] == ("b.test", sender, [joe], {"skip_plugins": []})
    assert seen["get_mx"] == ("b.test", True)


def test_what_deferred_bounce_and_delivered_are_given(relay: Callable[..., Relay], mx: FakeMx) -> None:
    mx.reply("rcpt", "450 4.2.0 busy", rcpt="busy@b.test").reply("rcpt", "550 5.1.1 no", rcpt="gone@b.test")
    plugins = [Answers(hook, None) for hook in ("deferred", "bounce", "delivered")]
    out = relay(*plugins)
    out.submit(JOE, "busy@b.test", "gone@b.test")
    assert eventually(lambda: all(plugin.given for plugin in plugins))
    joe, busy, gone = map(Address.parse, (JOE, "busy@b.test", "gone@b.test"))
    (_, deferral), (_, failure), (hmail, receipt) = (plugin.given[0] for plugin in plugins)
    hop = NextHop("127.0.0.1", mx.port, tls="off")
    assert isinstance(deferral, Deferral) and 30 < deferral.delay < 100
    assert (deferral.err, deferral.recipients, deferral.mx) == ("450 4.2.0 busy", [busy], hop)
    assert isinstance(failure, Failure)
    assert (failure.err, failure.recipients, failure.mx) == ("550 5.1.1 no", [gone], hop)
    assert failure.deferred == [busy]
    assert isinstance(receipt, Receipt) and 0 <= receipt.delay < 60
    assert (receipt.host, receipt.ip, receipt.port) == ("127.0.0.1", "127.0.0.1", mx.port)
    assert (receipt.response, receipt.mode, receipt.recipients) == ("250 2.0.0 taken", "SMTP", [joe])
    assert (receipt.secured, receipt.authenticated) == (False, False)
    assert hmail.uuid == "UUID.1.1"


def test_no_next_hop_was_reached(relay: Callable[..., Relay]) -> None:
    plugin = Answers("bounce", OK)
    out = relay(Answers("get_mx", (DENY, "no")), plugin)
    out.submit()
    assert eventually(lambda: plugin.given)
    failure = plugin.given[0][1]
    assert (failure.err, failure.mx, failure.deferred) == ("550 5.1.2 no", None, [])


def test_pre_send_trans_email_is_given_something_like_a_connection(relay: Callable[..., Relay]) -> None:
    plugin = Answers("pre_send_trans_email", None)
    out = relay(plugin, disabled=True)
    out.outbound.send("", JOE, "Subject: x\n\nhi\n", notes={"k": 1})
    ((connection,),) = plugin.given
    assert isinstance(connection, Connection)
    assert connection.transaction.notes.k == 1
    assert connection.transaction.header.get("Subject") == "x"
    assert (connection.uuid, connection.remote.ip) == (connection.transaction.uuid, "")
    connection.lognotice("it has log methods")
    assert any("it has log methods" in line for line in out.lines)


class NoReports(Plugin):
    """Lets no report out of the house."""

    def __init__(self, code: object) -> None:
        self.code = code

    def hook_pre_send_trans_email(self, connection):
        return (self.code, "no reports") if connection.transaction.mail_from.is_null else None


@pytest.mark.parametrize(
    ("code", "outcome", "said"),
    [
        (DENY, dropped, "no bounce is sent: 550 5.7.1 no reports"),
        (DENYSOFT, waits(300, 1), "will try again: 450 4.7.1 no reports"),
    ],
)
def test_a_plugin_may_refuse_a_report(
    code: object, outcome: Check, said: str, relay: Callable[..., Relay], mx: FakeMx
) -> None:
    mx.reply("rcpt", "550 no", rcpt=JOE)
    out = relay(NoReports(code))
    out.submit()
    assert eventually(lambda: outcome(out, mx))
    assert any(said in line for line in out.lines)


# -- disabled


def test_disabled_pauses_without_holding_places(relay: Callable[..., Relay], mx: FakeMx) -> None:
    out = relay(disabled=True, concurrency_max=3)
    for n in range(100):
        out.submit(f"r{n}@b.test")
    engine = out.outbound.engine
    out.outbound.flush()
    assert not eventually(lambda: engine.in_progress or mx.sessions, timeout=0.2)
    assert (engine.waiting, engine.hot_bytes, len(out.entries())) == (100, 0, 100)
    out.outbound.configure(replace(out.settings, disabled=False))
    assert eventually(out.empty)
    assert sorted(mx.rcpts()) == sorted(f"r{n}@b.test" for n in range(100))
