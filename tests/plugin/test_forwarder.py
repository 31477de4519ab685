"""Forwarder: what a plugin hands messages on with."""

from __future__ import annotations

import gevent
import pytest

from mta.message.header import Header
from mta.message.stream import MessageStream, append_checked
from mta.plugin import Address, ConnectionPoolSettings, Forwarder, NextHop, Plugin, Timeouts
from mta.transaction import Transaction
from tests.support.fake_mx import FakeMx
from tests.support.plugins import logger_and_lines
from tests.support.server import eventually

ANN, BOB = Address.parse("ann@there.test"), Address.parse("bob@there.test")

MAIL = b"Subject: hello\r\n\r\none\r\n"


def forwarder_to(*mxs: FakeMx, **more: object) -> Forwarder:
    plugin = Plugin()
    plugin.name, plugin.logger = "queue/mine", logger_and_lines()[0]
    hops = [NextHop(mx.host, mx.port, priority=number) for number, mx in enumerate(mxs)]
    return Forwarder(plugin, hops, helo="here.test", **more)


def mail() -> Transaction:
    stream = MessageStream()
    stream.header = Header(b"Subject: hello\r\n")
    stream.separator = True
    stream.append(b"one\r\n")
    return Transaction("UUID.1", ANN, stream)


def codes(forwarder: Forwarder, *rcpts: Address) -> list[int]:
    return [reply.code for reply in forwarder.forward(mail(), rcpts or [BOB]).values()]


def test_there_is_a_reply_for_each_recipient_in_their_order(mx: FakeMx) -> None:
    mx.reply("rcpt", "550 no", rcpt="bob@there.test")
    assert codes(forwarder_to(mx), BOB, ANN) == [550, 250]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_who_is_named_twice_gets_the_mail_once(mx: FakeMx, one_by_one: bool) -> None:
    forwarder_to(mx).forward(mail(), [BOB, ANN, BOB], one_by_one=one_by_one)
    assert sorted(mx.rcpts()) == ["ann@there.test", "bob@there.test"]


def test_who_has_no_reply_reads_that_nobody_is_there(mx: FakeMx) -> None:
    forwarder = forwarder_to(mx)
    mx.close()
    assert str(forwarder.forward(mail(), [BOB])[BOB]).startswith("451 4.4.1 the next server is not available")


@pytest.mark.parametrize(
    ("body", "arrives"),
    [
        (b"x\r\n.\r\nMAIL FROM:<>\r\n", b"x\r\n..\r\nMAIL FROM:<>\r\n"),
        (b"x\n.\ny\r\n", b"x\r\n..\r\ny\r\n"),
        (b".\r\n", b"..\r\n"),
    ],
)
def test_what_a_plugin_put_into_a_body_can_not_end_the_message(
    mx: FakeMx, body: bytes, arrives: bytes
) -> None:
    transaction = mail()
    transaction.message_stream.append(body)
    assert forwarder_to(mx).forward(transaction, [BOB])[BOB].code == 250
    assert [message.data for message in mx.messages] == [MAIL + arrives]
    assert mx.count("MAIL") == 1


def test_a_header_is_searched_even_if_the_body_is_known(mx: FakeMx) -> None:
    transaction = Transaction("UUID.1", ANN, MessageStream())
    stream = transaction.message_stream
    stream.header, stream.separator = Header(b"a: b\n.\nc: d\r\n"), True
    append_checked(stream, b"one\r\n")
    assert stream.checked
    assert forwarder_to(mx).forward(transaction, [BOB])[BOB].code == 250
    assert [message.data for message in mx.messages] == [b"a: b\r\n..\r\nc: d\r\n\r\none\r\n"]


def test_a_message_larger_than_one_piece_arrives_as_it_is(mx: FakeMx) -> None:
    transaction, line = mail(), b"x" * 98 + b"\r\n"
    transaction.message_stream.append(line * 1000)
    assert forwarder_to(mx).forward(transaction, [BOB])[BOB].code == 250
    assert [message.data for message in mx.messages] == [MAIL + line * 1000]


def test_connections_are_kept_as_told(mx: FakeMx) -> None:
    forwarder = forwarder_to(mx, connections=ConnectionPoolSettings(messages=2))
    assert [codes(forwarder) for _ in range(4)] == [[250]] * 4
    assert [message.session for message in mx.messages] == [1, 1, 2, 2]


def test_a_dead_connection_to_the_first_server_is_no_reason_to_ask_the_second(mx: FakeMx) -> None:
    with FakeMx() as second:
        forwarder = forwarder_to(mx, second)
        codes(forwarder)
        mx.drop("mail")
        assert codes(forwarder) == [250]
        assert (mx.sessions, second.sessions) == (2, 0)


def test_a_server_that_is_gone_after_all_is(mx: FakeMx) -> None:
    with FakeMx() as second:
        forwarder = forwarder_to(mx, second)
        codes(forwarder)
        mx.drop("mail", times=2)
        assert codes(forwarder) == [250]
        assert (len(mx.messages), len(second.messages)) == (1, 1)


def test_close_does_not_wait_for_ever(mx: FakeMx) -> None:
    with FakeMx() as other:
        forwarders = [forwarder_to(each, timeouts=Timeouts(quit=1)) for each in (mx, other)]
        for each in forwarders:
            codes(each)
        mx.slow("quit", 600)
        other.slow("quit", 600)
        with gevent.Timeout(60):
            Forwarder.close_all(forwarders)
        assert (mx.quits, other.quits) == (1, 1)


def test_what_is_under_way_at_close_ends_as_it_should(mx: FakeMx) -> None:
    mx.slow("dot", 0.3)
    forwarder = forwarder_to(mx)
    sending = gevent.spawn(codes, forwarder)
    assert eventually(lambda: mx.count("DATA"))
    forwarder.close()
    assert mx.quits == 0
    assert sending.get() == [250]
    assert eventually(lambda: mx.quits == 1)


def test_a_plugin_whose_time_is_up_leaves_no_connection_that_is_used_again(mx: FakeMx) -> None:
    forwarder = forwarder_to(mx)
    codes(forwarder)
    mx.slow("dot", 5)
    with gevent.Timeout(0.3, False):
        codes(forwarder)
    mx.slow("dot", 0)
    assert codes(forwarder) == [250]
    assert mx.messages[-1].session == 2
