"""What the next hop is told of a mail: parameters that it came with, and who we are to that hop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mta.config.schema import OutboundSettings, TimeoutSettings
from mta.net.client_pool import ClientPool
from mta.net.dns import Resolver
from mta.net.next_hop import NextHop
from mta.outbound.delivery import Deliverer
from mta.outbound.hmail import HMail
from mta.outbound.mx import NoRoute
from mta.outbound.onward import NOTHING, onward, time_left
from mta.outbound.outcome import DEFERRED, DELIVERED, FAILED, NO_TIME, Outcome
from mta.outbound.route import Router
from tests.support.fake_mx import FakeMx
from tests.support.outbound import hmail_for
from tests.support.plugins import runner_of

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
HOP = NextHop("127.0.0.1", 2525)


def mail(*, seconds_ago: float = 0, **params: str | None) -> HMail:
    hmail = hmail_for(["joe@b.test", "ann@b.test"], MESSAGE, domain="b.test")
    hmail.todo.queue_time = int((time.time() - seconds_ago) * 1000)
    if params:
        hmail.todo.extra["mail_params"] = params
    return hmail


def test_most_mail_has_nothing_to_tell() -> None:
    assert onward(mail().todo) is NOTHING


def test_what_the_mail_came_with() -> None:
    todo = mail(RET="FULL", SMTPUTF8=None).todo
    todo.extra["rcpt_params"] = {"ann@b.test": {"NOTIFY": "NEVER"}}
    told = onward(todo)
    assert told.mail == {"RET": "FULL", "SMTPUTF8": None}
    assert told.rcpts == {todo.rcpt_to[1]: {"NOTIFY": "NEVER"}}


@pytest.mark.parametrize(
    ("by", "seconds", "expected"),
    [
        ("60;R", 20, "40;R"),
        ("60;R", 0, "60;R"),
        ("60;NT", 90, "-30;NT"),
        ("-5;N", 10, "-15;N"),
        ("+60;rt", 10, "50;rt"),
        ("-999999999;N", 10, "-999999999;N"),
        ("soon;R", 10, None),
        ("", 10, None),
    ],
)
def test_time_left(by: str, seconds: int, expected: str | None) -> None:
    assert time_left(by, seconds) == expected


# -- the whole way


@pytest.fixture
def pool() -> Iterator[ClientPool]:
    made = ClientPool()
    yield made
    made.close_all()


def deliver(mx: FakeMx, pool: ClientPool, hmail: HMail, **changes: object) -> set[Outcome]:
    runner, _ = runner_of()
    resolver = Resolver(["127.0.0.1"], port=1, timeout=0.2, lifetime=0.2)
    settings = OutboundSettings(connect_timeout=5, **changes)
    router = Router(resolver, runner, runner._logger, settings, [NextHop(mx.host, mx.port, tls="off")])
    deliverer = Deliverer(router, pool, settings, "relay.test")
    return set(deliverer.deliver(hmail, deliverer.route(hmail)).values())


@pytest.mark.parametrize("dsn", [True, False])
def test_parameters_reach_a_next_hop_that_knows_them(pool: ClientPool, dsn: bool) -> None:
    hmail = mail(RET="HDRS", ENVID="x1", BY="60;N", seconds_ago=20.5)
    hmail.todo.extra["rcpt_params"] = {"joe@b.test": {"NOTIFY": "FAILURE", "ORCPT": "rfc822;j@a.test"}}
    with FakeMx(extensions=("PIPELINING", *(["DSN", "DELIVERBY"] if dsn else []))) as mx:
        (outcome,) = deliver(mx, pool, hmail)
        (received,) = mx.messages
    assert (outcome.fate, outcome.peer and outcome.peer.dsn) == (DELIVERED, dsn)
    if dsn:
        assert received.params in ("RET=HDRS ENVID=x1 BY=40;N", "RET=HDRS ENVID=x1 BY=39;N")
        assert received.rcpt_params == ["NOTIFY=FAILURE ORCPT=rfc822;j@a.test", ""]
    else:
        assert (received.params, received.rcpt_params) == ("", ["", ""])


@pytest.mark.parametrize(
    ("by", "seconds_ago", "late"),
    [("60;R", 40, False), ("60;R", 61, True), ("60;rt", 61, True), ("60;N", 61, False), ("x", 61, False)],
)
def test_late_mail_is_not_offered_to_anybody(
    pool: ClientPool, by: str, seconds_ago: float, late: bool
) -> None:
    with FakeMx() as mx:
        hmail = mail(BY=by, seconds_ago=seconds_ago)
        if not late:
            (outcome,) = deliver(mx, pool, hmail)
            assert outcome.fate is DELIVERED
            return
        with pytest.raises(NoRoute) as caught:
            deliver(mx, pool, hmail)
        assert (caught.value.reply.enhanced, caught.value.expired, mx.sessions) == ("5.4.7", NO_TIME, 0)


@pytest.mark.parametrize(
    ("subject", "offered", "fate", "params"),
    [
        ("hello", False, DELIVERED, ""),
        ("hällo", False, FAILED, None),
        ("hello", True, DELIVERED, "SMTPUTF8"),
        ("hällo", True, DELIVERED, "SMTPUTF8"),
    ],
)
def test_mail_that_was_declared_international(
    pool: ClientPool, subject: str, offered: bool, fate: object, params: str | None
) -> None:
    hmail = hmail_for(["joe@b.test"], f"Subject: {subject}\r\n\r\ngrüß\r\n".encode(), domain="b.test")
    hmail.todo.extra["mail_params"] = {"SMTPUTF8": None}
    with FakeMx(extensions=("PIPELINING", *(["SMTPUTF8"] if offered else []))) as mx:
        (outcome,) = deliver(mx, pool, hmail)
        assert outcome.fate is fate
        assert [received.params for received in mx.messages] == ([] if params is None else [params])
        assert fate is DELIVERED or outcome.reply.enhanced == "5.6.7"


def test_noted_name_and_address(pool: ClientPool) -> None:
    hmail = mail()
    hmail.todo.notes.update(outbound_helo="other.test", outbound_ip="127.0.0.5")
    with FakeMx() as mx:
        deliver(mx, pool, hmail)
        deliver(mx, pool, mail())
        assert [line for line in mx.commands if line.startswith("EHLO")] == [
            "EHLO other.test",
            "EHLO relay.test",
        ]


def test_bdat_where_the_next_hop_offers_it(pool: ClientPool) -> None:
    with FakeMx(extensions=("PIPELINING", "CHUNKING")) as mx:
        (outcome,) = deliver(mx, pool, mail())
        assert (outcome.fate, mx.count("BDAT"), mx.messages[0].data) == (DELIVERED, 1, MESSAGE)


def test_a_kept_connection_that_died_costs_no_second_copy_by_bdat(pool: ClientPool) -> None:
    with FakeMx(extensions=("PIPELINING", "CHUNKING")) as mx:
        for _ in range(3):
            (outcome,) = deliver(mx, pool, mail())
            assert outcome.fate is DELIVERED
            mx.hang_up()
        assert len(mx.messages) == mx.sessions == 3


def test_a_lost_reply_to_bdat_makes_the_mail_wait(pool: ClientPool) -> None:
    with FakeMx(extensions=("PIPELINING", "CHUNKING")) as mx:
        deliver(mx, pool, mail())
        (outcome,) = deliver(mx.drop("dot"), pool, mail())  # it may have been taken
        assert (outcome.fate, mx.sessions) == (DEFERRED, 1)


def test_a_message_that_is_too_big_is_not_sent_and_the_next_one_is(pool: ClientPool) -> None:
    with FakeMx(extensions=("PIPELINING", f"SIZE {len(MESSAGE)}")) as mx:
        big = hmail_for(["joe@b.test"], MESSAGE + b"x\r\n", domain="b.test")
        (outcome,) = deliver(mx, pool, big)
        assert (outcome.fate, outcome.reply.code, outcome.reply.enhanced) == (FAILED, 552, "5.3.4")
        dotted = hmail_for(["joe@b.test"], MESSAGE.replace(b"body", b"..dy"), domain="b.test")
        for hmail in (mail(), dotted):
            (outcome,) = deliver(mx, pool, hmail)
            assert outcome.fate is DELIVERED
        assert (mx.sessions, mx.count("MAIL"), mx.count("RSET")) == (1, 2, 0)


# -- 8 bit


EIGHT = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n..Grüße\r\n".encode()
SIGNED = b"Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\n\xe4\r\n--x--\r\n"


@pytest.mark.parametrize(
    ("message", "policy", "offered", "fate", "arrives"),
    [
        (EIGHT, "send", "", DELIVERED, EIGHT),
        (EIGHT, "convert", "8BITMIME", DELIVERED, EIGHT),
        (EIGHT, "bounce", "8BITMIME", DELIVERED, EIGHT),
        (EIGHT, "bounce", "", FAILED, None),
        (SIGNED, "convert", "", FAILED, None),
        (MESSAGE, "bounce", "", DELIVERED, MESSAGE),
        (MESSAGE, "convert", "", DELIVERED, MESSAGE),
    ],
)
def test_eight_bit(
    pool: ClientPool, message: bytes, policy: str, offered: str, fate: object, arrives: bytes | None
) -> None:
    with FakeMx(extensions=("PIPELINING", *([offered] if offered else []))) as mx:
        for _ in range(2):  # the connection is good for the next one
            hmail = hmail_for(["joe@b.test"], message, domain="b.test")
            (outcome,) = deliver(mx, pool, hmail, eight_bit_downgrade=policy)
            assert outcome.fate is fate
        assert [received.data for received in mx.messages] == ([arrives] * 2 if arrives else [])
        assert mx.sessions == 1
        if fate is FAILED:
            assert (outcome.reply.code, outcome.reply.enhanced, mx.count("MAIL")) == (554, "5.6.3", 0)


def test_eight_bit_converted(pool: ClientPool) -> None:
    with FakeMx(extensions=("PIPELINING",)) as mx:
        hmail = hmail_for(["joe@b.test"], EIGHT, domain="b.test")
        (outcome,) = deliver(mx, pool, hmail, eight_bit_downgrade="convert")
        assert outcome.fate is DELIVERED
        head, _, body = mx.messages[0].data.partition(b"\r\n\r\n")
        assert b"Content-Transfer-Encoding: quoted-printable" in head
        assert body == b"..Gr=C3=BC=C3=9Fe\r\n"  # the dot is stuffed anew


# -- waits


def test_the_waits_are_settings(pool: ClientPool) -> None:
    with FakeMx() as mx:
        mx.slow("mail", 30)
        (outcome,) = deliver(mx, pool, mail(), timeouts=replace(TimeoutSettings(), mail=0.05))
        assert (outcome.fate, "phase mail: timeout" in outcome.reason) == (DEFERRED, True)
