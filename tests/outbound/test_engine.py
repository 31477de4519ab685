"""The whole outbound side at work: submit, spool, engine, delivery to next hops on loopback, retries, bounces, restarts."""

from __future__ import annotations

import email
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mta.config.schema import (
    OutboundPoolSettings,
    OutboundRouteSettings,
    OutboundSettings,
    SmarthostSettings,
)
from mta.config.sources import Source
from mta.outbound import engine as engine_module
from mta.outbound.smarthost import SmarthostError
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import DELAY, DENYSOFT
from mta.smtp.address import NULL, Address
from tests.support.fake_mx import FakeMx
from tests.support.outbound import queue_files
from tests.support.relay import MESSAGE, Relay
from tests.support.server import eventually


@pytest.fixture
def site(tmp_path: Path) -> Iterator:
    made: list[Relay] = []

    def make(mx: FakeMx | None, *plugins: Plugin, **settings: object) -> Relay:
        made.append(Relay(tmp_path / "queue", mx, *plugins, **settings))
        return made[-1]

    yield make
    for each in made:
        each.stop(0)


def test_submitted_mail_is_delivered_and_forgotten(site, mx) -> None:
    relay = site(mx).start()
    relay.submit("joe@b.test", "ann@c.test")
    assert eventually(relay.empty)
    assert sorted(mx.rcpts()) == ["ann@c.test", "joe@b.test"]
    assert mx.messages[0].data.endswith(MESSAGE)
    assert mx.messages[0].data.startswith(b"Received: (Haraka outbound); ")
    assert eventually(lambda: relay.outbound.engine.hot_bytes == 0)
    assert relay.outbound.engine.in_progress == relay.outbound.engine.waiting == 0


def test_hot_mail_is_not_read_back(site, mx) -> None:
    relay = site(mx).start()
    relay.disk.failing = {"open"}
    relay.submit()
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test"]


def test_mail_is_read_back_when_memory_is_used_up(site, mx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "HOT_BYTES", 10)
    relay = site(mx).start()
    relay.submit()
    assert eventually(relay.empty)
    assert mx.messages[0].data.endswith(MESSAGE)


def test_what_lies_in_the_queue_is_delivered_at_start(site, mx) -> None:
    relay = site(mx).open()
    for n in range(30):
        relay.put(f"r{n}@b.test", attempts=n % 3)
    later = relay.put("later@b.test", due_in=3600)
    relay.spool.close()
    relay.start()
    assert eventually(lambda: relay.entries() == [later])
    assert sorted(mx.rcpts()) == sorted(f"r{n}@b.test" for n in range(30))
    assert relay.outbound.engine.waiting == 1


def test_queue_that_can_not_be_read_at_the_start_is_read_later(
    site, mx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LOAD_AGAIN", 0.05)
    relay = site(mx).open()
    relay.put("old@b.test")
    relay.spool.close()
    relay.open()
    relay.disk.failing = {"names"}
    relay.outbound.start()
    relay.submit("new@b.test")
    assert eventually(lambda: len(relay.logged("cannot read the whole queue")) > 1)
    assert eventually(lambda: mx.rcpts() == ["new@b.test"])
    relay.disk.failing = set()
    assert eventually(relay.empty)
    assert mx.rcpts() == ["new@b.test", "old@b.test"]


def test_flush_reaches_what_is_still_being_loaded(site, mx) -> None:
    relay = site(mx).open()
    relay.put("later@b.test", due_in=3600)
    relay.spool.close()
    relay.start()
    relay.outbound.flush()
    assert eventually(relay.empty)
    assert mx.rcpts() == ["later@b.test"]


def test_4xx_is_retried_until_it_works(site, mx) -> None:
    mx.reply("rcpt", "450 4.2.0 later", "450 4.2.0 later", "250 ok")
    relay = site(mx, Soon()).start()
    relay.submit()
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test"]
    assert mx.count("RCPT") == 3
    assert relay.logged("fails=2")


class Soon(Plugin):
    """Retries without the long waits of the schedule."""

    name = "soon"

    def hook_deferred(self, hmail, deferral):
        return DENYSOFT, "0.05"


def test_deferred_entry_keeps_its_place_on_disk(site, mx) -> None:
    mx.reply("mail", "450 busy")
    relay = site(mx, temp_fail_intervals=(3600,), retry_jitter=0).start()
    relay.submit()
    assert eventually(lambda: [name.attempts for name in relay.entries()] == [1])
    (name,) = relay.entries()
    assert 3500 < name.next_attempt / 1000 - time.time() <= 3600
    assert eventually(lambda: relay.outbound.engine.waiting == 1)


def test_retries_end_in_a_bounce_that_is_delivered(site, mx) -> None:
    mx.reply("rcpt", "450 4.2.0 later", rcpt="joe@b.test")
    relay = site(mx, Soon(), temp_fail_intervals=(5, 5)).start()
    relay.submit()
    assert eventually(relay.empty)
    assert mx.rcpts() == ["sender@a.test"]
    assert mx.messages[0].mail_from == ""
    report = email.message_from_bytes(mx.messages[0].data)
    assert report.get_content_type() == "multipart/report"
    assert mx.commands.count("RCPT TO:<joe@b.test>") == 3


def test_bounce_of_a_bounce_is_only_logged(site, mx) -> None:
    mx.reply("rcpt", "550 5.1.1 nobody")
    relay = site(mx).start()
    relay.submit()
    assert eventually(relay.empty)
    assert mx.messages == []
    assert eventually(lambda: relay.logged("double bounce"))
    assert mx.count("MAIL") == 2


def test_full_disk_delivers_but_keeps_what_must_bounce(site, mx) -> None:
    mx.reply("rcpt", "550 5.1.1 nobody", rcpt="gone@b.test")
    relay = site(mx, temp_fail_intervals=(3600,)).open()
    relay.put("joe@b.test", "gone@b.test")
    relay.spool.close()
    relay.start()
    relay.disk.failing = {"create"}
    assert eventually(lambda: relay.outbound.engine.waiting == 1)
    assert [name.attempts for name in relay.entries()] == [1]
    assert mx.rcpts() == ["joe@b.test"]
    relay.disk.failing = set()
    relay.outbound.flush()
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test", "sender@a.test"]


def test_entry_that_can_not_be_removed_is_not_delivered_again(site, mx) -> None:
    relay = site(mx).start()
    relay.disk.failing = {"unlink"}
    relay.submit()
    assert eventually(lambda: relay.logged("cannot remove"))
    relay.outbound.flush()
    assert eventually(lambda: len(relay.logged("cannot remove")) == 2)
    relay.disk.failing = set()
    relay.outbound.flush()
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test"]


def test_corrupt_entry_is_set_aside_and_harms_nobody(site, mx) -> None:
    relay = site(mx).open()
    bad = relay.put("bad@b.test")
    good = relay.put("good@b.test")
    path = relay.directory / bad.text
    path.write_bytes(path.read_bytes()[:20])
    relay.spool.close()
    relay.start()
    assert eventually(lambda: queue_files(relay.directory) == [f"error.{bad}"])
    assert mx.rcpts() == ["good@b.test"]
    assert len(relay.logged("corrupt")) == 1
    assert good.text not in " ".join(relay.logged("corrupt"))


def test_entry_that_an_operator_removed_is_forgotten(site, mx) -> None:
    relay = site(mx).open()
    name = relay.put("joe@b.test", due_in=3600)
    relay.spool.close()
    relay.start()
    assert eventually(lambda: relay.outbound.engine.waiting == 1)
    (relay.directory / name.text).unlink()
    relay.outbound.flush()
    assert eventually(lambda: relay.logged("has gone"))
    assert relay.outbound.engine.waiting == 0
    assert mx.sessions == 0


def test_unreadable_entry_is_tried_later(site, mx) -> None:
    relay = site(mx).open()
    relay.put("joe@b.test")
    relay.spool.close()
    relay.start()
    relay.disk.failing = {"open"}
    relay.outbound.flush()
    assert eventually(lambda: relay.outbound.engine.waiting == 1)
    relay.disk.failing = set()
    relay.outbound.flush()
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test"]


class Bomb(Exception):
    pass


def test_bug_in_one_delivery_is_logged_and_the_entry_kept(site, mx, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = site(mx, temp_fail_intervals=(3600,)).start()
    deliver = relay.outbound._deliverer.deliver

    def broken(hmail, route):
        if hmail.todo.domain == "bad.test":
            raise Bomb("boom")
        return deliver(hmail, route)

    monkeypatch.setattr(
        type(relay.outbound._deliverer), "deliver", lambda self, hmail, route: broken(hmail, route)
    )
    relay.submit("x@bad.test")
    relay.submit("joe@b.test")
    assert eventually(lambda: mx.rcpts() == ["joe@b.test"])
    assert eventually(lambda: [name.attempts for name in relay.entries()] == [1])
    (line,) = relay.logged("[CRIT]")
    assert "boom" in line and "Bomb" in line and "UUID.1.1" in line
    assert relay.outbound.engine.waiting == 1


# -- settings and hooks


def test_disabled_keeps_mail_and_uses_no_slots(site, mx) -> None:
    relay = site(mx, disabled=True).start()
    relay.submit()
    time.sleep(0.1)
    assert (len(relay.entries()), mx.sessions) == (1, 0)
    assert (relay.outbound.engine.in_progress, relay.outbound.engine.hot_bytes) == (0, 0)
    relay.outbound.configure(replace(relay.settings, disabled=False))
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test"]


def test_concurrency_max_is_kept_and_can_be_changed(site, mx) -> None:
    mx.slow("dot", 0.1)
    relay = site(mx, concurrency_max=2).start()
    busiest = 0
    for n in range(8):
        relay.submit(f"r{n}@b.test")
    while not relay.empty():
        busiest = max(busiest, relay.outbound.engine.in_progress)
        time.sleep(0.01)
    assert busiest == 2
    assert mx.sessions == 2
    assert len(mx.messages) == 8
    relay.outbound.configure(replace(relay.settings, concurrency_max=5))
    for n in range(5):
        relay.submit(f"s{n}@b.test")
    assert eventually(lambda: relay.outbound.engine.in_progress == 5)
    assert eventually(relay.empty)


def test_due_entry_does_not_wait_for_slots_that_are_free_again(site, mx) -> None:
    mx.slow("dot", 0.2)
    relay = site(mx, concurrency_max=1).open()
    relay.put("second@b.test", due_in=0.5)
    relay.spool.close()
    relay.start()
    relay.submit("first@b.test")
    assert eventually(relay.empty, timeout=5)
    assert mx.rcpts() == ["first@b.test", "second@b.test"]


def test_reload_with_a_bad_smarthost_section_keeps_the_old_one(site, mx) -> None:
    relay = site(mx).start()
    bad = SmarthostSettings(host=("127.0.0.1:1",), auth_user="me")
    relay.outbound.configure(replace(relay.settings, smarthost=bad))
    assert relay.logged("smarthosts, routes and pools stay as they were")
    relay.submit()
    assert eventually(relay.empty)


def test_routes_and_pools_change_while_mail_goes_out(site, mx) -> None:
    relay = site(None).start()
    pool = OutboundPoolSettings(source=(Source("127.0.0.7"),))
    route = OutboundRouteSettings(recipients=("b.test",), host=(mx.smarthost,), tls="off", pool="p")
    relay.outbound.change_routes([("r", route)])
    assert relay.logged(
        "there is no [p] in outbound_pools.ini; smarthosts, routes and pools stay as they were"
    )
    relay.outbound.change_pools([("p", pool)])
    relay.submit()
    assert eventually(relay.empty)
    relay.outbound.change_pools([])
    relay.submit()
    assert eventually(relay.empty)
    assert set(mx.peers) == {"127.0.0.7"} and len(mx.messages) == 2


def test_start_with_a_bad_smarthost_section_is_refused(site) -> None:
    relay = site(None)
    relay.settings = OutboundSettings(smarthost=SmarthostSettings(host=("127.0.0.1:1",), auth_user="me"))
    with pytest.raises(SmarthostError):
        relay.open()
    relay.settings = OutboundSettings()
    relay.spool.close()
    relay.open()


class Wait(Plugin):
    """Delays each first look at a mail."""

    name = "wait"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def hook_send_email(self, hmail):
        self.seen.append(hmail.filename)
        return (DELAY, "0.2") if len(self.seen) == 1 else None


def test_delay_of_send_email_is_on_disk_and_no_failure(site, mx) -> None:
    plugin = Wait()
    relay = site(mx, plugin).start()
    relay.submit()
    assert eventually(
        lambda: relay.entries() and relay.entries()[0].next_attempt > relay.entries()[0].arrival
    )
    assert relay.entries()[0].attempts == 0
    assert mx.sessions == 0
    assert eventually(relay.empty)
    assert mx.rcpts() == ["joe@b.test"]
    assert len(plugin.seen) == 2


# -- stopping


def test_stop_lets_deliveries_finish(site, mx) -> None:
    mx.slow("dot", 0.3)
    relay = site(mx).start()
    relay.submit()
    assert eventually(lambda: mx.count("DATA") == 1)
    relay.stop(5.0)
    assert relay.empty()
    assert mx.rcpts() == ["joe@b.test"]
    assert mx.quits == 1


def test_stop_leaves_what_takes_too_long(site, mx) -> None:
    mx.slow("dot", 30)
    relay = site(mx).start()
    relay.submit()
    assert eventually(lambda: mx.count("DATA") == 1)
    begun = time.monotonic()
    relay.stop(0.1)
    assert time.monotonic() - begun < 3
    assert len(relay.entries()) == 1


def test_restart_delivers_what_was_left(site, mx) -> None:
    mx.reply("mail", "450 busy", "250 ok")
    relay = site(mx, temp_fail_intervals=(5,)).start()
    relay.submit()
    assert eventually(lambda: [name.attempts for name in relay.entries()] == [1])
    relay.stop()
    relay.start()
    assert eventually(lambda: relay.outbound.engine.waiting == 1)
    relay.outbound.flush()
    assert eventually(relay.empty)
    assert relay.logged("fails=1")


def test_null_sender_of_our_own_mail(site, mx) -> None:
    relay = site(mx).start()
    assert relay.outbound.send(NULL, [Address.parse("joe@b.test")], b"Subject: x\n\nhello\n").code == 250
    assert eventually(relay.empty)
    assert mx.messages[0].mail_from == ""
