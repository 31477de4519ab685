"""What becomes of an entry after an attempt: a real spool on disk, made-up outcomes, and disks that fail."""

from __future__ import annotations

import email
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta.outbound.hmail import HMail
from mta.outbound.outcome import Outcome
from mta.outbound.qfile import TEMPORARY
from mta.outbound.settle import TROUBLE_WAIT, Later, seconds
from mta.plugin.verdict import DENYSOFT, OK
from mta.smtp.address import NULL, Address
from tests.support.desk import LATER, MESSAGE, NEVER, PEER, TAKEN, Desk, Spy
from tests.support.outbound import queue_files


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture
def desk(tmp_path: Path, spy: Spy) -> Iterator[Desk]:
    made = Desk(tmp_path / "queue", spy, (60, 300))
    yield made
    made.spool.close()


def wait_of(later: Later | None) -> float:
    assert later is not None
    return later.due_ms / 1000 - time.time()


def test_all_delivered(desk: Desk, spy: Spy) -> None:
    hmail = desk.mail("joe@b.test", "ann@b.test")
    name = hmail.filename
    assert desk.settle(hmail, {"joe@b.test": TAKEN, "ann@b.test": TAKEN}) is None
    assert queue_files(desk.directory) == []
    (line,) = desk.logged("delivered")
    for part in (
        f"file={name}",
        "domain=b.test",
        "host=mx.b.test",
        "ip=203.0.113.9",
        "port=25",
        "mode=SMTP",
        "tls=Y",
        "auth=N",
        'response="250 2.0.0 taken"',
        "delay=",
        "fails=0",
        "rcpts=2/0/0",
    ):
        assert part in line, line
    (hook, receipt), *_ = spy.told
    assert hook == "delivered"
    assert (receipt.host, receipt.response, receipt.secured) == ("mx.b.test", "250 2.0.0 taken", True)
    assert [rcpt.address for rcpt in receipt.recipients] == ["joe@b.test", "ann@b.test"]


def test_deferred_keeps_arrival_counts_the_attempt_and_waits(desk: Desk, spy: Spy) -> None:
    hmail = desk.mail("joe@b.test")
    before = hmail.name
    later = desk.settle(hmail, {"joe@b.test": LATER})
    assert 58 < wait_of(later) <= 60
    (name,) = desk.names()
    assert name == later.name
    assert (name.arrival, name.uniq, name.attempts) == (before.arrival, before.uniq, 1)
    assert name.next_attempt == later.due_ms
    (hook, deferral), *_ = spy.told
    assert (hook, deferral.delay, deferral.err) == ("deferred", 60, "450 4.2.0 greylisted")
    assert desk.logged(f"Temp failing {before} for 60 seconds: 450 4.2.0 greylisted")
    assert desk.bounces == []


def test_the_schedule_is_walked_through_until_it_ends(desk: Desk) -> None:
    later = desk.settle(desk.mail("joe@b.test", attempts=1), {"joe@b.test": LATER})
    assert 298 < wait_of(later) <= 300
    assert desk.settle(desk.mail("ann@b.test", attempts=2), {"ann@b.test": LATER}) is None
    ((mail_from, rcpts, contents),) = desk.bounces
    assert (mail_from, rcpts) == (NULL, [Address.parse("sender@a.test")])
    report = email.message_from_bytes(contents)
    _, block = report.get_payload(1).get_payload()
    assert (block["Status"], block["Action"]) == ("5.2.0", "failed")
    assert b"Too many failures (450 4.2.0 greylisted)" in contents


def test_failed_is_bounced_and_forgotten(desk: Desk, spy: Spy) -> None:
    assert desk.settle(desk.mail("joe@b.test"), {"joe@b.test": NEVER}) is None
    assert queue_files(desk.directory) == []
    ((_, _, contents),) = desk.bounces
    assert b"Subject: hello" in contents
    assert b"body" not in contents.split(b"rfc822-headers")[1]
    (hook, failure), *_ = spy.told
    assert (hook, failure.err, failure.mx) == ("bounce", "550 5.1.1 no such user", PEER.hop)
    assert desk.logged("recipient <joe@b.test> rejected: 550 5.1.1 no such user")


def test_partial_results_leave_only_who_is_deferred(desk: Desk) -> None:
    hmail = desk.mail("a@b.test", "b@b.test", "c@b.test", attempts=1)
    arrival = hmail.name.arrival
    later = desk.settle(hmail, {"a@b.test": TAKEN, "b@b.test": NEVER, "c@b.test": LATER})
    assert desk.on_disk() == [["c@b.test"]]
    assert (later.name.arrival, later.name.attempts, later.unsaved) == (arrival, 2, None)
    assert desk.spool.load(later.name)[1].size == len(MESSAGE)
    assert len(desk.bounces) == 1
    assert desk.logged("rcpts=1/1/1")


def test_recipient_without_an_outcome_is_kept(desk: Desk) -> None:
    desk.settle(desk.mail("a@b.test", "b@b.test"), {"a@b.test": TAKEN})
    assert desk.on_disk() == [["b@b.test"]]


def test_null_sender_gets_no_bounce(desk: Desk) -> None:
    hmail = desk.mail("joe@b.test", mail_from="<>")
    assert desk.settle(hmail, {"joe@b.test": NEVER}) is None
    assert desk.bounces == []
    assert queue_files(desk.directory) == []
    (line,) = desk.logged("double bounce")
    for part in (
        f"file={hmail.filename}",
        "joe@b.test",
        "550 5.1.1 no such user",
        "host=mx.b.test",
        "domain=b.test",
    ):
        assert part in line, line


# -- hooks


@pytest.fixture
def answering(tmp_path: Path):
    made: list[Desk] = []

    def make(**answers: object) -> Desk:
        made.append(Desk(tmp_path / "queue", Spy(**answers), (60, 300)))
        return made[-1]

    yield make
    for each in made:
        each.spool.close()


def test_hook_bounce_can_keep_the_report_back(answering) -> None:
    desk = answering(bounce=OK)
    assert desk.settle(desk.mail("joe@b.test"), {"joe@b.test": NEVER}) is None
    assert desk.bounces == []
    assert desk.logged("Plugin responded with: OK. Not sending bounce.")


@pytest.mark.parametrize(
    ("answer", "expected"), [((DENYSOFT, "7"), 7), ((DENYSOFT, 90), 90), ((DENYSOFT, "soon"), 60)]
)
def test_hook_deferred_can_change_the_delay(answer: object, expected: float, answering) -> None:
    desk = answering(deferred=answer)
    later = desk.settle(desk.mail("joe@b.test"), {"joe@b.test": LATER})
    assert expected - 2 < wait_of(later) <= expected
    assert later.name.attempts == 1


def test_hook_deferred_can_drop(answering) -> None:
    desk = answering(deferred=OK)
    assert desk.settle(desk.mail("joe@b.test"), {"joe@b.test": LATER}) is None
    assert queue_files(desk.directory) == []
    assert desk.logged("Not deferring")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(5, 5), ("5", 5), (None, 60), ("x", 60), (-3, 0), (float("nan"), 60), (1e99, 31536000)],
)
def test_seconds_that_plugins_name(answer: object, expected: float) -> None:
    assert seconds(answer, 60) == expected


# -- trouble


def test_bounce_that_can_not_be_queued_keeps_the_recipient(desk: Desk) -> None:
    desk.refuse = True
    later = desk.settle(desk.mail("a@b.test", "b@b.test"), {"a@b.test": TAKEN, "b@b.test": NEVER})
    assert desk.on_disk() == [["b@b.test"]]
    assert desk.logged("cannot queue a bounce, will try again: 451 4.3.0 disk full")
    desk.refuse = False
    todo, message = desk.spool.load(later.name)
    assert desk.settle(HMail(later.name, todo, message, desk.logger), {"b@b.test": NEVER}) is None
    assert len(desk.bounces) == 1


def test_bounce_that_can_not_be_queued_after_the_last_retry(desk: Desk) -> None:
    desk.refuse = True
    later = desk.settle(desk.mail("b@b.test", attempts=9), {"b@b.test": LATER})
    assert TROUBLE_WAIT - 2 < wait_of(later) <= TROUBLE_WAIT
    assert desk.on_disk() == [["b@b.test"]]


def test_bug_in_the_bounce_loses_nobody_and_repeats_nobody(desk: Desk) -> None:
    desk.explode = True
    desk.settle(desk.mail("a@b.test", "b@b.test"), {"a@b.test": TAKEN, "b@b.test": NEVER})
    assert desk.on_disk() == [["b@b.test"]]
    assert desk.logged("[CRIT]") and desk.logged("RuntimeError")


def test_disk_full_at_rewrite_is_remembered(desk: Desk) -> None:
    hmail = desk.mail("a@b.test", "b@b.test")
    desk.disk.failing = {"create"}
    later = desk.settle(hmail, {"a@b.test": TAKEN, "b@b.test": LATER})
    assert [rcpt.address for rcpt in later.unsaved.rcpt_to] == ["b@b.test"]
    assert later.name.attempts == 1
    # The next attempt, while the disk is still full, and then when it is not:
    _, message = desk.spool.load(later.name)
    again = desk.settle(
        HMail(later.name, later.unsaved, message, desk.logger, stale=True), {"b@b.test": LATER}
    )
    assert [rcpt.address for rcpt in again.unsaved.rcpt_to] == ["b@b.test"]
    desk.disk.failing = set()
    _, message = desk.spool.load(again.name)
    desk.waits = (60,) * 5
    last = desk.settle(
        HMail(again.name, again.unsaved, message, desk.logger, stale=True), {"b@b.test": LATER}
    )
    assert last.unsaved is None
    assert desk.on_disk() == [["b@b.test"]]


def test_rename_that_fails_is_retried_in_memory(desk: Desk) -> None:
    hmail = desk.mail("a@b.test")
    desk.disk.failing = {"rename"}
    later = desk.settle(hmail, {"a@b.test": LATER})
    assert later.name == hmail.name
    assert 58 < wait_of(later) <= 60
    assert desk.logged(f"cannot reschedule {hmail.name}")


def test_unlink_that_fails_is_retried_without_delivering_again(desk: Desk) -> None:
    hmail = desk.mail("a@b.test")
    desk.disk.failing = {"unlink"}
    later = desk.settle(hmail, {"a@b.test": TAKEN})
    assert later.unsaved.rcpt_to == []
    assert desk.logged(f"cannot remove {hmail.name}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    outcomes=st.lists(st.sampled_from([TAKEN, LATER, NEVER, None]), min_size=1, max_size=4),
    failing=st.sets(st.sampled_from(["create", "rename", "unlink", "sync"])),
    refuse=st.booleans(),
    attempts=st.integers(0, 3),
)
def test_every_recipient_is_delivered_bounced_or_still_queued(
    desk: Desk, outcomes: list[Outcome | None], failing: set[str], refuse: bool, attempts: int
) -> None:
    rcpts = [f"r{n}@b.test" for n in range(len(outcomes))]
    told = dict(zip(rcpts, outcomes, strict=True))
    hmail = desk.mail(*rcpts, attempts=attempts)
    desk.disk.failing, desk.refuse, desk.bounces = failing, refuse, []
    later = desk.settle(hmail, {rcpt: outcome for rcpt, outcome in told.items() if outcome})
    desk.disk.failing = set()
    queued: list[str] = []
    if later is not None:
        todo = later.unsaved or desk.spool.load(later.name)[0]
        queued = [rcpt.address for rcpt in todo.rcpt_to]
        desk.spool.forget(later.name)
    # A disk that refuses both to sync and to unlink leaves a temporary file, which is no mail.
    assert all(text.startswith(TEMPORARY) for text in queue_files(desk.directory))
    bounced = [rcpt for rcpt in rcpts if any(rcpt.encode() in contents for _, _, contents in desk.bounces)]
    delivered = [rcpt for rcpt in rcpts if told[rcpt] is TAKEN]
    assert sorted(delivered + bounced + queued) == sorted(rcpts)
