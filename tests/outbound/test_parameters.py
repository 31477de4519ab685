"""What the client said in MAIL and RCPT, on its way into the queue file and to the delivery."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.config.schema import OutboundSettings, SmarthostSettings
from mta.message.stream import MessageStream
from mta.net.dns import Resolver
from mta.net.next_hop import NextHop
from mta.outbound.route import Router
from mta.outbound.service import Outbound
from mta.outbound.split import split
from mta.outbound.todo import Todo
from mta.smtp.address import Address
from mta.transaction import Transaction
from tests.support.fake_mx import FakeMx
from tests.support.outbound import hmail_for, opened, queue_files, words
from tests.support.plugins import runner_of
from tests.support.server import eventually

MESSAGE = b"Message-Id: <x@a.test>\r\nDate: Sun, 22 Nov 2026 01:21:39 +0000\r\n\r\nbody\r\n"
JOE, ANN, BOB = map(Address.parse, ("joe@b.test", "ann@b.test", "bob@c.test"))
MAIL = {
    "SIZE": "20",
    "BODY": "8BITMIME",
    "RET": "HDRS",
    "ENVID": "QQ+2B1",
    "REQUIRETLS": None,
    "BY": "60;R",
    "MT-PRIORITY": "3",
}
KEPT = {key: MAIL[key] for key in ("RET", "ENVID", "REQUIRETLS", "BY", "MT-PRIORITY")}
JOES = {"NOTIFY": "NEVER", "ORCPT": "rfc822;joe@old.test"}


def transaction(*rcpts: Address, **params: str | None) -> Transaction:
    made = Transaction("UUID.1", Address.parse("sender@a.test"), MessageStream.from_message(MESSAGE))
    made.rcpt_to.extend(rcpts)
    made.params = params
    return made


def test_each_entry_has_what_concerns_its_recipients() -> None:
    mail = transaction(JOE, ANN, BOB, **MAIL)
    mail.rcpt_params = {JOE: JOES, BOB: {"NOTIFY": "DELAY"}}
    first, second = split(mail, False)
    assert first.mail_params == second.mail_params == KEPT
    assert (first.rcpt_params(JOE), first.rcpt_params(ANN), first.rcpt_params(BOB)) == (JOES, {}, {})
    assert second.rcpt_params(BOB) == {"NOTIFY": "DELAY"}
    assert first.require_tls


@pytest.mark.parametrize("params", [{}, {"SIZE": "20", "BODY": "8BITMIME"}])
def test_nothing_is_added_to_most_queue_files(params: dict[str, str | None]) -> None:
    (todo,) = split(transaction(JOE, **params), False)
    assert todo.extra == {}
    assert list(json.loads(todo.encode())) == [
        "queue_time",
        "domain",
        "rcpt_to",
        "mail_from",
        "notes",
        "uuid",
        "force_tls",
    ]
    assert (todo.mail_params, todo.rcpt_params(JOE), todo.hold_until, todo.require_tls) == ({}, {}, 0, False)


def test_the_queue_file_keeps_it() -> None:
    mail = transaction(JOE, ANN, **MAIL)
    mail.rcpt_params = {JOE: JOES}
    mail.hold_until = 1795338000.25
    (todo,) = split(mail, False)
    again = Todo.decode(todo.encode())
    assert again == todo
    assert (again.mail_params, again.rcpt_params(JOE), again.hold_until) == (KEPT, JOES, 1795338000250)
    assert Todo.decode(again.with_recipients([JOE]).encode()).rcpt_params(JOE) == JOES


@pytest.mark.parametrize(
    "value", [None, 5, "x", [], {"joe@b.test": 5}, {"joe@b.test": {"NOTIFY": 5}}, {"RET": []}]
)
def test_a_strange_queue_file_does_no_harm(value: object) -> None:
    (todo,) = split(transaction(JOE), False)
    todo.extra = {"mail_params": value, "rcpt_params": value, "hold_until": value}
    assert todo.rcpt_params(JOE) == {}
    assert not todo.require_tls
    assert set(todo.mail_params.values()) <= {None}
    assert todo.hold_until == (5 if value == 5 else 0)
    todo.extra["told"] = value
    assert todo.told == frozenset()
    assert todo.deliver_by is None
    assert (todo.wants("FAILURE", JOE), todo.wants("SUCCESS", JOE), todo.wants_nothing(JOE)) == (
        True,
        False,
        False,
    )


def test_what_the_sender_was_told_is_kept() -> None:
    mail = transaction(JOE, BY="60;NT")
    (todo,) = split(mail, False)
    again = Todo.decode(todo.with_told(frozenset({"late"})).with_told(frozenset({"delay"})).encode())
    assert again.told == {"delay", "late"}
    assert again.extra["told"] == ["delay", "late"]
    assert again.deliver_by is not None
    assert again.deliver_by.moment == todo.queue_time / 1000 + 60
    assert (again.deliver_by.returns, again.deliver_by.trace) == (False, True)


# -- held mail


class Site:
    """An outbound side in front of one next hop."""

    def __init__(self, directory: Path, mx: FakeMx) -> None:
        self.directory = directory
        self.settings = OutboundSettings(smarthost=SmarthostSettings(host=(mx.smarthost,), tls="off"))

    def start(self) -> None:
        runner, self.lines = runner_of()
        self.spool, _ = opened(self.directory, runner._logger)
        self.outbound = Outbound(
            spool=self.spool,
            resolver=Resolver(["127.0.0.1"], port=1, timeout=0.2, lifetime=0.2),
            runner=runner,
            logger=runner._logger,
            settings=self.settings,
            me="relay.test",
            read_template=words("", "{reason}"),
        )
        self.outbound.start()

    def stop(self) -> None:
        self.outbound.stop(0)
        self.spool.close()

    def submit(self, seconds: float) -> float:
        mail = transaction(JOE)
        mail.hold_until = time.time() + seconds
        assert self.outbound.submit(mail).code == 250
        return mail.hold_until

    def due(self) -> list[float]:
        return [int(name.split("_")[1]) / 1000 for name in queue_files(self.directory)]


@pytest.fixture
def site(tmp_path: Path, mx: FakeMx) -> Iterator[Site]:
    made = Site(tmp_path / "queue", mx)
    made.start()
    yield made
    made.stop()


def test_held_mail_waits_and_then_leaves(site: Site, mx: FakeMx) -> None:
    release = site.submit(0.5)
    assert site.due() == [pytest.approx(release, abs=0.002)]
    assert mx.messages == []
    assert eventually(lambda: len(mx.messages) == 1)
    assert time.time() >= release
    assert eventually(lambda: not queue_files(site.directory))


def test_a_restart_and_a_flush_do_not_release_it(site: Site, mx: FakeMx) -> None:
    release = site.submit(3600)
    site.stop()
    site.start()
    assert eventually(lambda: site.outbound.engine.waiting == 1)
    site.outbound.flush()
    assert eventually(lambda: site.due() != [release])
    assert site.due() == [pytest.approx(release, abs=1)]
    assert eventually(lambda: site.outbound.engine.waiting == 1)
    assert [name.split("_")[2] for name in queue_files(site.directory)] == ["0"]
    assert mx.messages == []


def test_a_time_that_has_passed_holds_nothing(site: Site, mx: FakeMx) -> None:
    site.submit(-60)
    assert eventually(lambda: len(mx.messages) == 1)


# -- DELIVERBY


def test_what_is_late_comes_back_and_is_tried_no_more(site: Site, mx: FakeMx) -> None:
    mx.reply("rcpt", "450 4.2.0 later", rcpt="joe@b.test")
    assert site.outbound.submit(transaction(JOE, BY="1;R")).code == 250
    assert eventually(lambda: "sender@a.test" in mx.rcpts())
    assert b"Status: 5.4.7" in mx.messages[0].data
    assert mx.count("RCPT TO:<joe@b.test>") == 1
    assert eventually(lambda: not queue_files(site.directory))


def test_what_is_late_already_is_offered_to_nobody(site: Site, mx: FakeMx) -> None:
    assert site.outbound.submit(transaction(JOE, BY="-5;R")).code == 250
    assert eventually(lambda: "sender@a.test" in mx.rcpts())
    assert b"Status: 5.4.7" in mx.messages[0].data
    assert mx.count("RCPT TO:<joe@b.test>") == 0
    assert site.outbound.counters.expired == 1
    # The log leads from the report to the mail that it is about.
    assert any("Sending email" in line and "origin=UUID.1.1" in line for line in site.lines)
    assert any(
        "rejected: Delivery time expired" in line and "category=expired" in line for line in site.lines
    )


# -- REQUIRETLS


@pytest.mark.parametrize("policy", ["off", "opportunistic", "required"])
@pytest.mark.parametrize("asked", [True, False])
def test_hops_of_a_mail_that_requires_tls(policy: str, asked: bool) -> None:
    runner, _ = runner_of()
    resolver = Resolver(["127.0.0.1"], port=1, timeout=0.2, lifetime=0.2)
    smarthost = NextHop("127.0.0.1", 2525, tls=policy)
    router = Router(resolver, runner, runner._logger, OutboundSettings(), [smarthost])
    hmail = hmail_for(["joe@b.test"], MESSAGE)
    if asked:
        hmail.todo.extra["mail_params"] = {"REQUIRETLS": None}
    assert [hop.tls for hop in router.route(hmail).hops] == ["required" if asked else policy]


@pytest.mark.parametrize(
    ("value", "params", "optional"),
    [
        ("No", {}, True),
        ("no", {}, True),
        ("Yes", {}, False),
        ("", {}, False),
        ("No", {"REQUIRETLS": None}, False),  # RFC 8689 section 5: the client's word counts more
    ],
)
def test_tls_required_no(value: str, params: dict[str, str | None], optional: bool) -> None:
    mail = transaction(JOE, BOB, **params)
    if value:
        mail.header.add("TLS-Required", value)
    for todo in split(mail, False):
        assert todo.tls_optional is optional
        assert Todo.decode(todo.encode()).tls_optional is optional
