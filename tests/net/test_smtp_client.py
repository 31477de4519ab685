"""Transactions with next hops, obedient and hostile."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import gevent
import pytest

from mta.logger import DATA, Logger
from mta.net.next_hop import NextHop
from mta.net.smtp_client import (
    ClientError,
    ConnectFailed,
    ConnectionLost,
    MalformedReply,
    MessageUnreadable,
    Rejected,
    SmtpClient,
    Timeouts,
)
from mta.smtp.address import NULL, Address
from mta.smtp.reply import Reply
from tests.net.scripted_peer import Letter, Peer, ScriptedPeer
from tests.support.fake_mx import FakeMx

SENDER = Address.parse("joe@here.test")
ANN, BOB, EVE = (Address.parse(f"{name}@there.test") for name in ("ann", "bob", "eve"))
LETTER = Letter(b"Subject: hi\r\n\r\nHello\r\n..\r\n")


def connect(hop: NextHop, **more: Any) -> SmtpClient:
    return SmtpClient.connect(hop, helo="here.test", connect_timeout=5, **more)


def connect_to(mx: FakeMx, **more: Any) -> SmtpClient:
    return connect(NextHop(mx.host, mx.port, using_lmtp=mx.lmtp), **more)


@pytest.fixture(params=[("PIPELINING", "SIZE 52428800"), ()], ids=["pipelined", "plain"])
def mx(request: pytest.FixtureRequest) -> Iterable[FakeMx]:
    with FakeMx(extensions=request.param) as mx:
        yield mx


def codes(replies: dict[Address, Reply]) -> list[int]:
    return [reply.code for reply in replies.values()]


# -- one transaction after another


def test_a_message_arrives_as_it_is(mx: FakeMx) -> None:
    client = connect_to(mx)
    assert client.send(SENDER, [ANN, BOB], LETTER) == {
        rcpt: Reply(250, "taken", "2.0.0") for rcpt in (ANN, BOB)
    }
    (message,) = mx.messages
    assert (message.mail_from, message.rcpts) == ("joe@here.test", ["ann@there.test", "bob@there.test"])
    assert message.data == LETTER._chunks[0]
    client.quit()
    assert mx.quits == 1


def test_a_connection_takes_many_messages(mx: FakeMx) -> None:
    client = connect_to(mx)
    for number in range(5):
        assert codes(client.send(SENDER, [ANN], Letter(b"n: %d\r\n\r\n" % number))) == [250]
        assert client.usable
    assert [message.data for message in mx.messages] == [b"n: %d\r\n\r\n" % number for number in range(5)]
    assert (mx.sessions, client.uses, mx.count("RSET")) == (1, 5, 0)


def test_a_message_of_many_chunks_and_no_last_line_end(mx: FakeMx) -> None:
    chunks = [b"x" * 70_000 + b"\r\n"] * 100 + [b"end"]
    assert codes(connect_to(mx).send(SENDER, [ANN], Letter(*chunks))) == [250]
    assert mx.messages[0].data == b"".join(chunks) + b"\r\n"


def test_an_unsound_message_is_one_message_there(mx: FakeMx) -> None:
    client = connect_to(mx)
    assert codes(client.send(SENDER, [ANN], Letter(b"a\n.\r\nMAIL FROM:<evil@x.test>\r\n.\r\n"))) == [250]
    assert [message.data for message in mx.messages] == [b"a\r\n..\r\nMAIL FROM:<evil@x.test>\r\n..\r\n"]
    assert codes(client.send(SENDER, [ANN], LETTER)) == [250]


def test_a_null_sender_and_repeated_recipients(mx: FakeMx) -> None:
    assert codes(connect_to(mx).send(NULL, [ANN, ANN, BOB], LETTER)) == [250, 250]
    assert mx.messages[0].mail_from == ""
    assert mx.messages[0].rcpts == ["ann@there.test", "bob@there.test"]


def test_a_thousand_recipients() -> None:
    rcpts = [Address(f"user{number}", "there.test") for number in range(1000)]
    with FakeMx() as mx:
        replies = connect_to(mx).send(SENDER, rcpts, LETTER)
        assert list(replies) == rcpts and set(codes(replies)) == {250}
        assert len(mx.messages[0].rcpts) == 1000


# -- what leaves in one write


def test_pipelined_commands_leave_in_one_write_and_so_does_the_message_with_its_dot() -> None:
    heard = []

    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        for _ in range(2):
            heard.append(peer.gulp())
            peer.say("250 ok\n250 ok\n250 ok\n354 go")
            heard.append(peer.gulp())
            peer.say("250 taken")

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        for _ in range(2):
            client.send(SENDER, [ANN, BOB], LETTER)
    envelope = (
        b"MAIL FROM:<joe@here.test>\r\nRCPT TO:<ann@there.test>\r\nRCPT TO:<bob@there.test>\r\nDATA\r\n"
    )
    assert heard == [envelope, LETTER._chunks[0] + b".\r\n"] * 2


@pytest.mark.parametrize(
    ("replies", "codes_expected"),
    [
        (b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n", [250]),
        (b"250-2.1.0 ok\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n", [250]),
    ],
)
def test_replies_that_come_in_two_pieces_mean_the_same(replies: bytes, codes_expected: list[int]) -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        for cut in range(len(replies)):
            peer.until(b"DATA\r\n")
            peer.say(replies[:cut])
            time.sleep(0.001)
            peer.say(replies[cut:])
            peer.until(b"\r\n.\r\n")
            peer.say("250 taken")

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        for _ in range(len(replies)):
            assert codes(client.send(SENDER, [ANN], LETTER)) == codes_expected


def test_a_refusal_is_found_among_replies_that_come_together() -> None:
    answers = ["250 ok\n550 5.1.1 unknown\n250 ok\n354 go", "450 4.7.1 later\n503 no\n503 no\n503 no"]

    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        peer.say(answers[0])
        peer.until(b"\r\n.\r\n")
        peer.say("250 taken")
        peer.until(b"DATA\r\n")
        peer.say(answers[1])

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        assert codes(client.send(SENDER, [ANN, BOB], LETTER)) == [550, 250]
        assert codes(client.send(SENDER, [ANN, BOB], LETTER)) == [450, 450]


def test_a_reply_too_many_is_not_taken_for_that_of_the_message() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        peer.say("250 ok\n250 ok\n354 go\n250 and more")
        assert peer.gulp() == b""

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        with pytest.raises(ConnectionLost, match="a reply too many") as lost:
            client.send(SENDER, [ANN], LETTER)
        assert not lost.value.replies and not client.usable


def test_without_pipelining_a_command_waits_for_the_reply_before() -> None:
    def session(peer: Peer) -> None:
        peer.greet("SIZE")
        for verb, answer in (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")):
            assert peer.hear().startswith(verb)
            assert peer.is_quiet()
            peer.say(answer)
        peer.until(b"\r\n.\r\n")
        peer.say("250 taken")

    with ScriptedPeer(session) as peer:
        assert codes(connect(peer.hop).send(SENDER, [ANN], LETTER)) == [250]


# -- refusals


def test_each_recipient_has_its_own_reply(mx: FakeMx) -> None:
    mx.reply("rcpt", "550 5.1.1 unknown", rcpt="bob@there.test").reply(
        "rcpt", "452 4.2.2 full", rcpt="eve@there.test"
    )
    replies = connect_to(mx).send(SENDER, [ANN, BOB, EVE], LETTER)
    assert replies == {
        ANN: Reply(250, "taken", "2.0.0"),
        BOB: Reply(550, "unknown", "5.1.1"),
        EVE: Reply(452, "full", "4.2.2"),
    }
    assert mx.rcpts() == ["ann@there.test"]


@pytest.mark.parametrize("answer", ["251 will forward", "252 cannot verify"])
def test_every_2xx_accepts_a_recipient(mx: FakeMx, answer: str) -> None:
    mx.reply("rcpt", answer)
    assert codes(connect_to(mx).send(SENDER, [ANN], LETTER)) == [250]
    assert mx.rcpts() == ["ann@there.test"]


@pytest.mark.parametrize(
    ("phase", "answer", "resets"),
    [
        ("mail", "550 5.7.1 not you", 0),
        ("mail", "451 4.7.1 later", 0),
        ("rcpt", "550 5.1.1 unknown", 1),
        ("data", "451 4.3.0 no", 1),
        ("data", "554 5.3.0 never", 1),
        ("dot", "552 5.3.4 too big", 0),
        ("dot", "452 4.3.1 full", 0),
    ],
)
def test_after_a_refusal_the_next_message_goes_through(
    mx: FakeMx, phase: str, answer: str, resets: int
) -> None:
    mx.reply(phase, answer, {"data": "354 go"}.get(phase, "250 ok"))
    if phase == "mail" and mx.extensions:
        mx.reply("rcpt", "503 MAIL first", "250 ok")
    client = connect_to(mx)
    (reply,) = client.send(SENDER, [ANN], LETTER).values()
    assert str(reply) == answer
    assert client.usable
    assert codes(client.send(SENDER, [BOB], LETTER)) == [250]
    assert (mx.rcpts(), mx.sessions, mx.count("RSET")) == (["bob@there.test"], 1, resets)


def test_a_354_though_nobody_was_accepted_is_answered_by_a_lone_dot() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        peer.say("250 ok\n550 no\n354 go")
        assert peer.gulp() == b".\r\n"
        peer.say("554 no valid recipients")
        assert peer.until(b"DATA\r\n").startswith(b"MAIL")
        peer.say("250 ok\n250 ok\n354 go")
        peer.until(b"\r\n.\r\n")
        peer.say("250 taken")

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        assert codes(client.send(SENDER, [ANN], LETTER)) == [550]
        assert codes(client.send(SENDER, [ANN], LETTER)) == [250]


def test_a_peer_that_refuses_the_sender_but_goes_on_gets_no_empty_message() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        peer.say("550 no\n250 ok\n354 go")
        assert peer.gulp() == b""

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        assert codes(client.send(SENDER, [ANN], LETTER)) == [550]
        assert not client.usable


@pytest.mark.parametrize("refusal", ["550 go away", "450 not now"])
def test_a_peer_that_refuses_the_sender_and_hangs_up(refusal: str) -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        peer.say(refusal)

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        replies = client.send(SENDER, [ANN, BOB], LETTER)
        assert [str(reply) for reply in replies.values()] == [refusal] * 2
        assert not client.usable


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
def test_421_decides_for_all_and_ends_the_connection(mx: FakeMx, phase: str) -> None:
    mx.reply(phase, "421 4.3.2 shutting down")
    client = connect_to(mx)
    assert codes(client.send(SENDER, [ANN, BOB], LETTER)) == [421, 421]
    assert not client.usable
    with pytest.raises(ConnectionLost):
        client.send(SENDER, [ANN], LETTER)


def test_421_leaves_what_was_decided_before() -> None:
    with FakeMx() as mx:
        mx.reply("rcpt", "550 no", rcpt="ann@there.test").reply("rcpt", "421 bye", rcpt="eve@there.test")
        assert codes(connect_to(mx).send(SENDER, [ANN, BOB, EVE], LETTER)) == [550, 421, 421]


@pytest.mark.parametrize(
    ("phase", "answer"), [("mail", "354 go"), ("rcpt", "354 go"), ("data", "250 ok"), ("dot", "354 more")]
)
def test_a_reply_of_the_wrong_kind_is_no_success(mx: FakeMx, phase: str, answer: str) -> None:
    mx.reply(phase, answer)
    (reply,) = connect_to(mx).send(SENDER, [ANN], LETTER).values()
    assert (reply.code, answer in reply.text) == (451, True)
    assert mx.messages == []


def test_after_250_to_data_the_connection_is_not_used_again(mx: FakeMx) -> None:
    mx.reply("data", "250 ok")
    client = connect_to(mx)
    client.send(SENDER, [ANN], LETTER)
    assert not client.usable


# -- connections that break


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "body", "dot"])
def test_a_lost_connection_says_where(phase: str) -> None:
    with FakeMx(extensions=()) as mx:
        client = connect_to(mx.drop(phase))
        with pytest.raises(ConnectionLost) as lost:
            client.send(SENDER, [ANN], LETTER)
        assert lost.value.phase == {"body": "dot"}.get(phase, phase)
        assert not client.usable


def test_a_lost_connection_keeps_what_was_final() -> None:
    with FakeMx() as mx:
        mx.reply("rcpt", "550 no", rcpt="bob@there.test").drop("dot")
        with pytest.raises(ConnectionLost) as lost:
            connect_to(mx).send(SENDER, [ANN, BOB], LETTER)
        assert (lost.value.phase, codes(dict(lost.value.replies))) == ("dot", [550])


def test_a_silent_peer_runs_into_the_timeout() -> None:
    with FakeMx() as mx:
        client = connect_to(mx.slow("mail", 5), timeouts=Timeouts(mail=0.1))
        with pytest.raises(ConnectionLost, match="phase mail: timeout"):
            client.send(SENDER, [ANN], LETTER)


def test_a_reply_that_never_ends_takes_no_longer_than_one_line() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        try:
            while True:
                peer.say(b"250-still thinking\r\n")
                time.sleep(0.05)
        except OSError:
            pass

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop, timeouts=Timeouts(mail=0.1))
        with pytest.raises(ConnectionLost, match="phase mail: timeout"):
            client.send(SENDER, [ANN], LETTER)


def test_a_message_that_cannot_be_read_is_our_fault() -> None:
    class Broken(Letter):
        def chunks(self) -> Iterable[bytes]:
            yield b"first\r\n"
            raise OSError(5, "Input/output error")

    with FakeMx() as mx:
        client = connect_to(mx)
        with pytest.raises(MessageUnreadable, match="Input/output error"):
            client.send(SENDER, [ANN], Broken(b""))
        assert not client.usable
    assert mx.messages == []


def test_a_transaction_that_is_killed_leaves_nothing_to_use() -> None:
    with FakeMx() as mx:
        client = connect_to(mx.slow("dot", 5))
        with gevent.Timeout(0.2, False):
            client.send(SENDER, [ANN], LETTER)
        assert not client.usable


BROKEN = {
    "no reply": b"hello there\r\n",
    "bare line feed": b"250 ok\n",
    "two codes": b"250-ok\r\n550 no\r\n",
    "other class": b"650 ok\r\n",
    "long line": b"250 " + b"x" * 5000 + b"\r\n",
    "long reply": b"250-x\r\n" * 600,
    "binary": bytes(range(256)) + b"\r\n",
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("phase", ["banner", "mail", "dot"])
def test_a_malformed_reply_ends_the_connection(phase: str, answer: bytes) -> None:
    def session(peer: Peer) -> None:
        if phase == "banner":
            peer.say(answer)
            return
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        if phase == "dot":
            peer.say("250 ok\n250 ok\n354 go")
            peer.until(b"\r\n.\r\n")
        peer.say(answer)

    with ScriptedPeer(session) as peer, pytest.raises(MalformedReply) as failure:
        client = connect(peer.hop)
        client.send(SENDER, [ANN], LETTER)
    assert failure.value.phase == phase and "\n" not in str(failure.value)


@pytest.mark.parametrize(
    "extra", ["250 not asked for", "421 idle too long", "250 ok\n250 ok\n354 go\n250 taken"]
)
def test_a_reply_nobody_asked_for_is_not_taken_for_one_of_the_next_message(extra: str) -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        peer.say("250 ok\n250 ok\n354 go")
        peer.until(b"\r\n.\r\n")
        peer.say(f"250 taken\n{extra}")
        assert peer.gulp() == b""

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        assert codes(client.send(SENDER, [ANN], LETTER)) == [250]
        with pytest.raises(ConnectionLost):
            client.send(SENDER, [BOB], LETTER)


FRAGMENTS = (
    *(
        b"220 hi\r\n",
        b"250 ok\r\n",
        b"250-ok\r\n",
        b"250 PIPELINING\r\n",
        b"354 go\r\n",
        b"421 bye\r\n",
        b"550 no\r\n",
    ),
    *(b"250", b"\r\n", b"\n", b"\r", b"\0", b"\xff\xfe", b"999 x\r\n", b"250-PIPELINING\r\n", b"x" * 5000),
)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_peer_says_ends_in_replies_or_a_client_error(seed: int) -> None:
    chance = random.Random(seed)
    likely, all_of_them = FRAGMENTS[:7], FRAGMENTS
    said = b"220 hi\r\n250-x\r\n" + b"".join(
        chance.choices(likely if seed % 2 else all_of_them, k=chance.randrange(12))
    )

    def session(peer: Peer) -> None:
        peer.say(said)
        peer.sock.shutdown(socket.SHUT_WR)
        while peer.gulp():
            pass

    with ScriptedPeer(session) as peer:
        try:
            client = connect(peer.hop)
            replies = client.send(SENDER, [ANN, BOB], LETTER)
        except ClientError as error:
            assert "\n" not in str(error)
        else:
            assert all(reply.kind in (2, 4, 5) for reply in replies.values()) and len(replies) == 2
            client.close()


# -- greeting


def test_a_peer_without_ehlo_is_greeted_by_helo() -> None:
    with FakeMx() as mx:
        client = connect_to(mx.reply("ehlo", "502 what?"))
        assert (client.esmtp, client.extensions) == (False, {})
        assert mx.commands == ["EHLO here.test", "HELO here.test"]
        assert codes(client.send(SENDER, [ANN], LETTER)) == [250]
        assert mx.messages[0].params == ""


@pytest.mark.parametrize(
    ("phase", "answer", "where"),
    [
        ("banner", "554 5.7.1 no", "banner"),
        ("banner", "421 4.3.2 busy", "banner"),
        ("ehlo", "421 4.3.2 busy", "hello"),
        ("ehlo", "450 greylisted", "hello"),
    ],
)
def test_a_peer_that_will_not_talk(phase: str, answer: str, where: str) -> None:
    with FakeMx() as mx, pytest.raises(Rejected) as rejected:
        connect_to(mx.reply(phase, answer))
    assert (str(rejected.value.reply), rejected.value.phase) == (answer, where)


@pytest.mark.parametrize("phase", ["banner", "ehlo"])
def test_a_peer_that_hangs_up_early(phase: str) -> None:
    with FakeMx() as mx, pytest.raises(ConnectionLost):
        connect_to(mx.drop(phase))


def test_keywords_of_the_ehlo_reply() -> None:
    def session(peer: Peer) -> None:
        peer.greet("size 1000", "Auth=LOGIN", "AUTH PLAIN CRAM-MD5", "X-THING a=b c", "8bitmime")

    with ScriptedPeer(session) as peer:
        assert connect(peer.hop).extensions == {
            "SIZE": "1000",
            "AUTH": "LOGIN  PLAIN CRAM-MD5",
            "X-THING": "a=b c",
            "8BITMIME": "",
        }


def test_our_name_and_address_may_depend_on_the_hop() -> None:
    def session(peer: Peer) -> None:
        assert peer.greet() == "EHLO other.test"

    with ScriptedPeer(session) as peer:
        client = connect(NextHop("127.0.0.1", peer.hop.port, bind="127.0.0.5", bind_helo="other.test"))
        assert (client.ip, client.port, client.host) == ("127.0.0.1", peer.hop.port, "127.0.0.1")
        assert peer.clients[0][0] == "127.0.0.5"  # type: ignore[index]  # an IPv4 address is a pair


@pytest.mark.parametrize(
    "hop",
    [
        NextHop("127.0.0.1", 1),
        NextHop("no such host"),
        NextHop("x" * 70 + ".test"),
        NextHop("", path="/missing"),
    ],
    ids=["refused", "unknown", "impossible", "no socket"],
)
def test_no_connection_is_one_clear_line(hop: NextHop) -> None:
    with pytest.raises(ConnectFailed, match="cannot connect to ") as failure:
        connect(hop)
    assert "\n" not in str(failure.value)


# -- nothing becomes a command


def forged(text: str) -> Address:
    """An address as the class itself would never make it."""
    address = Address("a", "b.test")
    object.__setattr__(address, "address", text)
    return address


@pytest.mark.parametrize("text", ["a@b.test>\r\nRSET", "a@b.test>\nRSET", "a@b.test\r", "a\0@b.test"])
@pytest.mark.parametrize("which", ["sender", "first", "last"])
def test_a_line_end_in_an_address_stops_everything_before_it_starts(
    mx: FakeMx, text: str, which: str
) -> None:
    client = connect_to(mx)
    addresses = {"sender": SENDER, "first": ANN, "last": BOB, which: forged(text)}
    with pytest.raises(ValueError, match="inside an SMTP command"):
        client.send(addresses["sender"], [addresses["first"], addresses["last"]], LETTER)
    client.quit()
    assert mx.commands == ["EHLO here.test", "QUIT"]


@pytest.mark.parametrize("helo", ["here\r\nMAIL FROM:<>", "here\n", "he\0re"])
def test_a_line_end_in_our_name_is_never_sent(helo: str) -> None:
    with FakeMx() as mx:
        with pytest.raises(ValueError, match="inside an SMTP command"):
            SmtpClient.connect(NextHop(mx.host, mx.port), helo=helo)
        assert mx.commands == []


# -- parameters


@pytest.mark.parametrize(
    ("extensions", "options", "expected"),
    [
        ((), {"eight_bit": True}, ""),
        (("SIZE",), {}, "SIZE=26"),
        (("8BITMIME",), {}, ""),
        (("8BITMIME",), {"eight_bit": True}, "BODY=8BITMIME"),
        (("SIZE 0", "8BITMIME", "SMTPUTF8"), {"smtputf8": True}, "SIZE=26 BODY=8BITMIME SMTPUTF8"),
        (("SMTPUTF8",), {}, ""),
    ],
)
def test_mail_parameters(extensions: tuple[str, ...], options: dict[str, bool], expected: str) -> None:
    with FakeMx(extensions=extensions) as mx:
        assert codes(connect_to(mx).send(SENDER, [ANN], LETTER, **options)) == [250]
        assert mx.messages[0].params == expected


UMLAUT = Address.parse("jürgen@dömäne.test")
ASCII_USER = Address.parse("post@dömäne.test")


def test_internationalised_addresses_where_the_peer_knows_them() -> None:
    with FakeMx(extensions=("SMTPUTF8", "PIPELINING")) as mx:
        assert codes(connect_to(mx).send(UMLAUT, [ANN, UMLAUT], LETTER)) == [250, 250]
        assert mx.messages[0].mail_from == "jürgen@xn--dmne-moa0i.test"
        assert "SMTPUTF8" in mx.messages[0].params


def test_only_the_recipients_that_need_it_are_refused_where_it_is_unknown(mx: FakeMx) -> None:
    client = connect_to(mx)
    replies = client.send(SENDER, [UMLAUT, ANN, ASCII_USER], LETTER)
    assert list(replies) == [UMLAUT, ANN, ASCII_USER]
    assert codes(replies) == [550, 250, 250] and replies[UMLAUT].enhanced == "5.6.7"
    assert mx.rcpts() == ["ann@there.test", "post@xn--dmne-moa0i.test"]
    assert codes(client.send(UMLAUT, [ANN], LETTER)) == [550]
    assert codes(client.send(SENDER, [ANN], Letter("Subject: ü\r\n\r\n".encode()), smtputf8=True)) == [550]
    assert len(mx.messages) == 1


@pytest.mark.parametrize(
    "letter", [LETTER, Letter("a: b\r\n\r\nü".encode()), Letter(b"a: b\r\n\r", b"\n\xff")]
)
def test_a_message_that_only_claims_to_need_smtputf8_goes_out_without(mx: FakeMx, letter: Letter) -> None:
    assert codes(connect_to(mx).send(SENDER, [ANN], letter, smtputf8=True)) == [250]
    assert "SMTPUTF8" not in mx.messages[0].params


# -- LMTP


def test_lmtp_has_a_final_reply_for_each_recipient() -> None:
    with FakeMx(lmtp=True) as mx:
        mx.reply("dot", "550 5.2.2 full", rcpt="bob@there.test").reply(
            "rcpt", "550 5.1.1 no", rcpt="eve@there.test"
        )
        client = connect_to(mx)
        assert mx.commands == ["LHLO here.test"]
        assert codes(client.send(SENDER, [ANN, EVE, BOB], LETTER)) == [250, 550, 550]
        assert mx.rcpts() == ["ann@there.test"]
        assert codes(client.send(SENDER, [ANN], LETTER)) == [250]


def test_lmtp_does_not_fall_back_to_helo() -> None:
    with FakeMx(lmtp=True) as mx, pytest.raises(Rejected):
        connect_to(mx.reply("ehlo", "500 what?"))


def test_lmtp_that_breaks_after_the_first_reply_keeps_it() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.until(b"DATA\r\n")
        peer.say("250 ok\n250 ok\n250 ok\n354 go")
        peer.until(b"\r\n.\r\n")
        peer.say("250 taken for ann")

    with ScriptedPeer(session) as peer, pytest.raises(ConnectionLost) as lost:
        connect(NextHop("127.0.0.1", peer.hop.port, using_lmtp=True)).send(SENDER, [ANN, BOB], LETTER)
    assert lost.value.replies == {ANN: Reply(250, "taken for ann")}


def test_lmtp_over_a_unix_socket(tmp_path: Any) -> None:
    def session(peer: Peer) -> None:
        assert peer.greet() == "LHLO here.test"
        peer.take(["250 ok", "250 ok", "354 go"])
        peer.until(b"\r\n.\r\n")
        peer.say("250 taken")

    path = str(tmp_path / "lmtp.sock")
    with ScriptedPeer(session, path=path):
        client = connect(NextHop("", path=path, using_lmtp=True))
        assert (client.host, client.ip, client.port) == (path, "", 0)
        assert codes(client.send(SENDER, [ANN], LETTER)) == [250]


# -- the rest


def test_reset_and_quit() -> None:
    with FakeMx() as mx:
        client = connect_to(mx)
        client.reset()
        client.quit()
        client.quit()
        client.close()
        assert mx.commands == ["EHLO here.test", "RSET", "QUIT"]


def test_quit_survives_a_peer_that_is_gone() -> None:
    with FakeMx() as mx:
        client = connect_to(mx)
        mx.hang_up()
        client.quit()
        assert not client.usable


def test_the_dialogue_is_logged_line_by_line(make_logger: Callable[[], tuple[Logger, list[str]]]) -> None:
    logger, lines = make_logger()
    with FakeMx() as mx:
        connect_to(mx, logger=logger, uuid="ABC.1").send(SENDER, [ANN], LETTER)
    text = "\n".join(lines)
    for expected in (
        "S: 220 fake.mx ESMTP",
        "C: EHLO here.test",
        "C: RCPT TO:<ann@there.test>",
        "S: 250 2.0.0 taken",
    ):
        assert expected in text
    assert all("ABC.1" in line and "outbound" in line for line in lines)


@pytest.fixture
def make_logger() -> Callable[[], tuple[Logger, list[str]]]:
    def make() -> tuple[Logger, list[str]]:
        lines: list[str] = []
        return Logger(level=DATA, write=lines.append), lines

    return make
