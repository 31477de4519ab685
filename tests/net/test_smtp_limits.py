"""Peers that take so many recipients in one transaction, and so many transactions in one session."""

from __future__ import annotations

import pytest

from mta.net.client_pool import ClientPool
from mta.net.next_hop import NextHop
from mta.net.smtp_client import ConnectionLost, SmtpClient
from mta.net.smtp_limits import NO_LIMIT, limits, too_many
from mta.smtp.address import Address
from mta.smtp.reply import Reply
from tests.net.scripted_peer import Letter
from tests.support.fake_mx import FakeMx

SENDER = Address.parse("joe@here.test")
RCPTS = [Address(f"user{number}", "there.test") for number in range(7)]
NAMES = [rcpt.address for rcpt in RCPTS]
LETTER = Letter(b"Subject: hi\r\n\r\n")


def connect(mx: FakeMx) -> SmtpClient:
    return SmtpClient.connect(NextHop(mx.host, mx.port), helo="here.test", connect_timeout=5)


def send(mx: FakeMx, rcpts: list[Address] = RCPTS, **more: bool) -> list[int]:
    replies = connect(mx).send(SENDER, rcpts, LETTER, **more)
    assert list(replies) == rcpts
    return [reply.code for reply in replies.values()]


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        ("MAILMAX=5 RCPTMAX=20", (5, 20)),
        ("rcptmax=20", (NO_LIMIT, 20)),
        ("RCPTDOMAINMAX=1 MAILMAX=999999", (999999, NO_LIMIT)),
        ("MAILMAX=0 RCPTMAX=many", (NO_LIMIT, NO_LIMIT)),
        ("MAILMAX=1000000 RCPTMAX", (NO_LIMIT, NO_LIMIT)),
        ("", (NO_LIMIT, NO_LIMIT)),
    ],
)
def test_what_is_offered(offer: str, expected: tuple[int, int]) -> None:
    assert limits({"LIMITS": offer}) == expected
    assert limits({}) == (NO_LIMIT, NO_LIMIT)


@pytest.mark.parametrize(
    ("reply", "again"),
    [
        (Reply(452, "Too many recipients", "4.5.3"), True),
        (Reply(452, "Too many recipients received this hour", "4.7.1"), False),
        (Reply(452, "4 too many recipients"), True),
        (Reply(552, "too many recipients", "5.5.3"), True),
        (Reply(452, "mailbox full", "4.2.2"), False),
        (Reply(452, "full"), False),
        (Reply(450, "Too many recipients", "4.5.3"), False),
        (Reply(250, "ok"), False),
    ],
)
def test_who_is_named_again(reply: Reply, again: bool) -> None:
    first, second = RCPTS[:2]
    assert list(too_many({first: Reply(250, "ok"), second: reply})) == ([second] if again else [])
    assert list(too_many({first: Reply(550, "no"), second: reply})) == []


@pytest.mark.parametrize("chunking", [True, False])
def test_a_limit_that_was_announced_is_kept(chunking: bool) -> None:
    with FakeMx(extensions=("PIPELINING", "CHUNKING", "LIMITS RCPTMAX=3")) as mx:
        assert send(mx, chunking=chunking) == [250] * 7
        assert [message.rcpts for message in mx.messages] == [NAMES[:3], NAMES[3:6], NAMES[6:]]
        assert mx.sessions == 1


def test_a_limit_that_was_not_announced_costs_no_wait() -> None:
    refused = "452 4.5.3 Too many recipients"
    with FakeMx() as mx:
        for name in NAMES[3:]:
            mx.reply("rcpt", refused, "250 ok", rcpt=name)
        for name in NAMES[5:]:
            mx.reply("rcpt", refused, refused, "250 ok", rcpt=name)
        assert send(mx) == [250] * 7
        assert [message.rcpts for message in mx.messages] == [NAMES[:3], NAMES[3:5], NAMES[5:]]


def test_who_is_refused_again_and_again_waits() -> None:
    with FakeMx() as mx:
        mx.reply("rcpt", "452 4.5.3 Too many recipients", rcpt=NAMES[6])
        assert send(mx) == [250] * 6 + [452]
        assert mx.count("MAIL") == 2


@pytest.mark.parametrize(
    ("phase", "answer"), [("mail", "550 5.7.1 no"), ("dot", "554 5.6.0 no"), ("data", "451 4.3.0 no")]
)
def test_a_refusal_of_the_message_holds_for_those_not_named(phase: str, answer: str) -> None:
    with FakeMx(extensions=("LIMITS RCPTMAX=3",)) as mx:
        assert send(mx.reply(phase, answer)) == [int(answer[:3])] * 7
        assert mx.count("MAIL") == 1


def test_refused_recipients_do_not_stop_the_others() -> None:
    with FakeMx(extensions=("PIPELINING", "LIMITS RCPTMAX=3")) as mx:
        for name in NAMES[:4]:
            mx.reply("rcpt", "550 5.1.1 unknown", rcpt=name)
        assert send(mx) == [550] * 4 + [250] * 3
        assert mx.rcpts() == NAMES[4:]


@pytest.mark.parametrize("keyword", ["DSN", "CHUNKING"])
def test_lmtp(keyword: str) -> None:
    with FakeMx(lmtp=True, extensions=("PIPELINING", "LIMITS RCPTMAX=3", keyword)) as mx:
        mx.reply("dot", "550 5.2.2 full", rcpt=NAMES[0])
        client = SmtpClient.connect(NextHop(mx.host, mx.port, using_lmtp=True), helo="here.test")
        replies = client.send(SENDER, RCPTS, LETTER, chunking=True)
        assert [reply.code for reply in replies.values()] == [550] + [250] * 6


def test_a_good_bye_between_two_groups() -> None:
    with FakeMx(extensions=("LIMITS RCPTMAX=3",)) as mx:
        assert send(mx.reply("mail", "250 ok", "421 4.3.2 enough")) == [250] * 3 + [421] * 4


def test_a_connection_lost_between_two_groups_keeps_what_is_final() -> None:
    with FakeMx(extensions=("LIMITS RCPTMAX=3",)) as mx:
        mx.reply("rcpt", "452 4.5.3 too many", rcpt=NAMES[2])
        client = connect(mx)
        mx.reply("mail", "250 ok", "hello")
        with pytest.raises(Exception, match="malformed reply, phase mail") as broken:
            client.send(SENDER, RCPTS, LETTER)
        assert list(broken.value.replies) == RCPTS[:2]
        assert not client.usable


def test_a_conversation_out_of_step_is_not_gone_on_with() -> None:
    with FakeMx(extensions=("LIMITS RCPTMAX=3", "PIPELINING")) as mx:
        for name in NAMES[:3]:
            mx.reply("rcpt", "550 no", rcpt=name)
        client = connect(mx.reply("data", "250 what"))
        with pytest.raises(ConnectionLost, match="before all recipients were named") as lost:
            client.send(SENDER, RCPTS, LETTER)
        assert list(lost.value.replies) == RCPTS[:3]


def test_a_session_ends_after_as_many_messages_as_the_peer_takes() -> None:
    with FakeMx(extensions=("PIPELINING", "LIMITS MAILMAX=2")) as mx:
        pool = ClientPool()
        for _ in range(4):
            client = pool.acquire(NextHop(mx.host, mx.port), helo="here.test")
            client.send(SENDER, RCPTS[:1], LETTER)
            pool.release(client)
        pool.close_all()
        assert mx.sessions == 2
