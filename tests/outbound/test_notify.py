"""Who is told what: NOTIFY for each recipient and fate, delay warnings, success, double bounces, what is counted."""

from __future__ import annotations

import email
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mta.config.schema import ReportSettings
from mta.outbound import notify
from mta.outbound.outcome import DEFERRED, Outcome
from mta.smtp.address import NULL, Address
from mta.smtp.reply import Reply
from tests.support.desk import LATER, NEVER, PEER, SETTINGS, TAKEN, Desk, Spy
from tests.support.outbound import queue_files

BY_DSN = replace(TAKEN, peer=replace(PEER, dsn=True))
BY_LMTP = replace(TAKEN, peer=replace(PEER, mode="LMTP"))
BROKEN = Outcome(DEFERRED, Reply(451, "the connection broke, phase dot", "4.4.2"), PEER, uncertain=True)
OLD = 5 * 3600  # seconds; delay_warning is 4 h


@pytest.fixture
def make(tmp_path: Path) -> Iterator:
    with ExitStack() as stack:

        def make(spy: Spy | None = None, rules: tuple[str, ...] = (), **reports: object) -> Desk:
            settings = replace(SETTINGS, reports=ReportSettings(**reports))
            desk = Desk(tmp_path / "queue", spy or Spy(), (60, 300), settings, rules)
            stack.callback(desk.spool.close)
            return desk

        yield make


# NOTIFY: what is reported of a recipient that failed, waits for long, was taken by a server without and with DSN.
@pytest.mark.parametrize(
    ("notify", "failed", "delayed", "relayed"),
    [
        (None, True, True, False),
        ("NEVER", False, False, False),
        ("never", False, False, False),
        ("SUCCESS", False, False, True),
        ("FAILURE", True, False, False),
        ("DELAY", False, True, False),
        ("SUCCESS,FAILURE", True, False, True),
        ("failure,delay", True, True, False),
        ("SUCCESS,FAILURE,DELAY", True, True, True),
    ],
)
def test_notify(make, notify: str | None, failed: bool, delayed: bool, relayed: bool) -> None:
    desk = make()
    for outcome, action, wanted in (
        (NEVER, "failed", failed),
        (LATER, "delayed", delayed),
        (TAKEN, "relayed", relayed),
        (BY_DSN, "", False),
        (BY_LMTP, "delivered", relayed),
    ):
        desk.bounces = []
        hmail = desk.mail("joe@b.test", age=OLD, rcpt_params={"NOTIFY": notify} if notify else None)
        desk.settle(hmail, {"joe@b.test": outcome})
        status = f"{str(outcome.reply)[0]}{outcome.reply.enhanced[1:]}"
        assert desk.reports() == ([("sender@a.test", [("joe@b.test", action, status)])] if wanted else [])


def test_each_recipient_has_its_own_notify(make) -> None:
    desk = make()
    hmail = desk.mail("a@b.test", "b@b.test", "c@b.test")
    hmail.todo.extra["rcpt_params"] = {"a@b.test": {"NOTIFY": "NEVER"}, "b@b.test": {"NOTIFY": "FAILURE"}}
    desk.settle(hmail, dict.fromkeys(["a@b.test", "b@b.test", "c@b.test"], NEVER))
    assert [[rcpt for rcpt, *_ in blocks] for _, blocks in desk.reports()] == [["b@b.test", "c@b.test"]]
    assert desk.logged("no bounce: the sender wants none")[0].count("a@b.test")
    assert queue_files(desk.directory) == []
    counters = desk.settler.counters
    assert (counters.failed, counters.bounced, counters.reports_sent) == (3, 2, 1)


def test_a_null_sender_is_told_nothing(make) -> None:
    desk = make()
    everything = {"NOTIFY": "SUCCESS,FAILURE,DELAY"}
    for outcome in (TAKEN, LATER, NEVER):
        hmail = desk.mail("joe@b.test", mail_from="<>", age=OLD, rcpt_params=everything)
        desk.settle(hmail, {"joe@b.test": outcome})
    assert desk.bounces == []


def test_a_server_that_sends_no_bounces(make) -> None:
    desk = make(failures=False)
    assert desk.settle(desk.mail("joe@b.test"), {"joe@b.test": NEVER}) is None
    assert desk.bounces == []
    assert desk.logged("[reports] failures is false")


def test_many_recipients_are_told_of_in_several_reports(make, monkeypatch) -> None:
    monkeypatch.setattr(notify, "MAX_RECIPIENTS", 2)
    desk = make()
    rcpts = [f"{n}@b.test" for n in range(5)]
    assert desk.settle(desk.mail(*rcpts), dict.fromkeys(rcpts, NEVER)) is None
    told = [[rcpt for rcpt, *_ in blocks] for _, blocks in desk.reports()]
    assert told == [rcpts[:2], rcpts[2:4], rcpts[4:]]
    assert desk.settler.counters.reports_sent == 3


# -- success


def test_success_is_reported_before_the_entry_goes(make) -> None:
    desk = make()
    seen: list[list[str]] = []
    send = desk.send
    desk.send = lambda *mail: seen.append(queue_files(desk.directory)) or send(*mail)
    desk.settle(desk.mail("joe@b.test", rcpt_params={"NOTIFY": "SUCCESS"}), {"joe@b.test": TAKEN})
    assert [len(files) for files in seen] == [1]
    assert queue_files(desk.directory) == []


def test_a_report_of_success_that_can_not_be_queued_does_not_keep_the_mail(make) -> None:
    desk = make()
    desk.refuse = True
    hmail = desk.mail("joe@b.test", rcpt_params={"NOTIFY": "SUCCESS"})
    assert desk.settle(hmail, {"joe@b.test": TAKEN}) is None
    assert desk.logged("cannot queue a delivery report, it is lost: 451 4.3.0 disk full")


@pytest.mark.parametrize("outcome", [TAKEN, BY_DSN])
@pytest.mark.parametrize(("notify", "told"), [(None, True), ("FAILURE", True), ("NEVER", False)])
def test_by_trace_tells_of_each_hop(make, outcome: Outcome, notify: str | None, told: bool) -> None:
    desk = make()
    hmail = desk.mail(
        "joe@b.test", params={"BY": "60;NT"}, rcpt_params={"NOTIFY": notify} if notify else None
    )
    desk.settle(hmail, {"joe@b.test": outcome})
    assert desk.reports() == ([("sender@a.test", [("joe@b.test", "relayed", "2.0.0")])] if told else [])


# -- delay warnings


def test_a_delay_is_told_once(make) -> None:
    desk = make()
    young = desk.mail("ann@b.test", age=3600)
    desk.settle(young, {"ann@b.test": LATER})
    assert desk.bounces == []
    later = desk.settle(desk.mail("joe@b.test", age=OLD), {"joe@b.test": LATER})
    assert desk.reports() == [("sender@a.test", [("joe@b.test", "delayed", "4.2.0")])]
    block = email.message_from_bytes(desk.bounces[0][2]).get_payload(1).get_payload(1)
    assert block["Will-Retry-Until"]
    # Kept on disk: another process knows as well.
    assert desk.load(later.name).todo.told == {"delay"}
    desk.settle(desk.load(later.name), {"joe@b.test": LATER})
    assert len(desk.bounces) == 1


def test_a_delay_warning_can_be_switched_off(make) -> None:
    desk = make(delay_warning=0)
    desk.settle(desk.mail("joe@b.test", age=OLD), {"joe@b.test": LATER})
    assert desk.bounces == []


def test_a_delay_warning_that_can_not_be_queued_comes_later(make) -> None:
    desk = make()
    desk.refuse = True
    later = desk.settle(desk.mail("joe@b.test", age=OLD), {"joe@b.test": LATER})
    assert desk.load(later.name).todo.told == frozenset()
    desk.refuse = False
    desk.settle(desk.load(later.name), {"joe@b.test": LATER})
    assert len(desk.bounces) == 1


def test_a_delay_and_being_late_are_told_in_one_report(make) -> None:
    desk = make()
    later = desk.settle(desk.mail("joe@b.test", age=OLD, params={"BY": "60;N"}), {"joe@b.test": LATER})
    assert len(desk.bounces) == 1
    assert desk.load(later.name).todo.told == {"delay", "late"}


# -- double bounces


def test_a_double_bounce_is_dropped_by_default(make) -> None:
    desk = make()
    desk.settle(desk.mail("joe@b.test", mail_from="<>"), {"joe@b.test": NEVER})
    assert desk.bounces == []
    assert desk.settler.counters.double_bounces == 1


@pytest.mark.parametrize(("address", "to"), [("", "postmaster@relay.test"), ("boss@c.test", "boss@c.test")])
def test_a_double_bounce_goes_to_the_postmaster(make, address: str, to: str) -> None:
    desk = make(double_bounce="postmaster", postmaster_address=address)
    assert desk.settle(desk.mail("joe@b.test", mail_from="<>"), {"joe@b.test": NEVER}) is None
    ((mail_from, rcpts, _),) = desk.bounces
    assert (mail_from, rcpts) == (NULL, [Address.parse(to)])
    assert desk.reports() == [(to, [("joe@b.test", "failed", "5.1.1")])]
    # What can not be delivered to the postmaster ends there.
    assert desk.settle(desk.mail(to, mail_from="<>"), {to: NEVER}) is None
    assert len(desk.bounces) == 1
    assert len(desk.logged("double bounce")) == 2


def test_a_double_bounce_that_can_not_be_queued_is_kept(make) -> None:
    desk = make(double_bounce="postmaster")
    desk.refuse = True
    later = desk.settle(desk.mail("joe@b.test", mail_from="<>"), {"joe@b.test": NEVER})
    assert [rcpt.address for rcpt in desk.load(later.name).todo.rcpt_to] == ["joe@b.test"]


# -- categories


def test_categories_reach_log_and_hooks(make) -> None:
    spy = Spy()
    desk = make(spy, ("greylist: code=4xx text=grey", "no-such-user: status=x.1.1"))
    desk.settle(desk.mail("a@b.test", "b@b.test"), {"a@b.test": NEVER, "b@b.test": LATER})
    assert desk.logged("recipient <a@b.test> rejected: 550 5.1.1 no such user category=no-such-user")
    assert desk.logged("recipient <b@b.test> deferred: 450 4.2.0 greylisted category=greylist")
    told = [(hook, about.category) for hook, about in spy.told]
    assert told == [("bounce", "no-such-user"), ("deferred", "greylist")]


# -- duplicates and counters


def test_an_unknown_end_may_make_a_duplicate(make) -> None:
    desk = make()
    later = desk.settle(desk.mail("a@b.test", "b@b.test"), {"a@b.test": TAKEN, "b@b.test": BROKEN})
    assert [rcpt.address for rcpt in desk.load(later.name).todo.rcpt_to] == ["b@b.test"]
    (line,) = desk.logged("possible duplicate")
    assert line.startswith("[WARN]")
    assert "rcpts=<b@b.test>" in line and 'why="no reply to the message"' in line
    assert desk.settler.counters.possible_duplicates == 1


def test_an_unknown_end_of_the_last_attempt_makes_none(make) -> None:
    desk = make()
    assert desk.settle(desk.mail("b@b.test", attempts=9), {"b@b.test": BROKEN}) is None
    assert desk.settler.counters.possible_duplicates == 0


@pytest.mark.parametrize(
    ("failing", "rest", "why"),
    [("unlink", TAKEN, "the entry can not be removed"), ("create", LATER, "the entry can not be rewritten")],
)
def test_what_the_disk_can_not_forget_may_come_twice(make, failing: str, rest: Outcome, why: str) -> None:
    desk = make()
    hmail = desk.mail("a@b.test", "b@b.test")
    desk.disk.failing = {failing}
    desk.settle(hmail, {"a@b.test": TAKEN, "b@b.test": rest})
    (line,) = desk.logged("possible duplicate")
    assert f"file={hmail.filename}" in line
    assert why in line and "<a@b.test>" in line
    assert desk.settler.counters.possible_duplicates == (2 if rest is TAKEN else 1)


def test_counters(make) -> None:
    desk = make()
    desk.settle(desk.mail("a@b.test", "b@b.test", "c@b.test"), {"a@b.test": TAKEN, "b@b.test": NEVER})
    desk.settle(desk.mail("d@b.test", attempts=9), {"d@b.test": LATER})
    counters = desk.settler.counters
    assert (counters.delivered, counters.deferred, counters.failed) == (1, 1, 2)
    assert (counters.bounced, counters.expired, counters.reports_sent) == (2, 1, 2)
    assert (counters.double_bounces, counters.possible_duplicates) == (0, 0)
