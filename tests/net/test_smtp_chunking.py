"""Messages sent by BDAT, to peers that take them, refuse them and break (RFC 3030)."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from mta.net.next_hop import NextHop
from mta.net.smtp_chunking import MAX_UNASKED, PIECE
from mta.net.smtp_client import ClientError, ConnectionLost, MalformedReply, SmtpClient, Timeouts
from mta.smtp.address import Address
from tests.net.scripted_peer import Letter, Peer, ScriptedPeer
from tests.support.fake_mx import FakeMx

SENDER = Address.parse("joe@here.test")
ANN, BOB = (Address.parse(f"{name}@there.test") for name in ("ann", "bob"))
LETTER = Letter(b"Subject: hi\r\n\r\nHello\r\n..\r\n")
CONTENT = b"Subject: hi\r\n\r\nHello\r\n.\r\n"
LINE = b"x" * 1022 + b"\r\n"
LONG = Letter(*[LINE * 64] * 20)  # five pieces


def connect(hop: NextHop, **more: Any) -> SmtpClient:
    return SmtpClient.connect(hop, helo="here.test", connect_timeout=5, **more)


def send(client: SmtpClient, *rcpts: Address, message: Letter = LETTER) -> list[int]:
    replies = client.send(SENDER, rcpts or (ANN,), message, chunking=True)
    return [reply.code for reply in replies.values()]


@pytest.fixture(params=[("PIPELINING", "CHUNKING"), ("CHUNKING",)], ids=["pipelined", "plain"])
def mx(request: pytest.FixtureRequest) -> Iterator[FakeMx]:
    with FakeMx(extensions=request.param) as mx:
        yield mx


def hop_of(mx: FakeMx) -> NextHop:
    return NextHop(mx.host, mx.port, using_lmtp=mx.lmtp)


@pytest.mark.parametrize(
    ("message", "content"),
    [(LETTER, CONTENT), (LONG, LINE * 1280), (Letter(b""), b""), (Letter(b"..x"), b".x\r\n")],
)
def test_a_message_arrives_as_it_is(mx: FakeMx, message: Letter, content: bytes) -> None:
    client = connect(hop_of(mx))
    for _ in range(2):
        assert send(client, ANN, BOB, message=message) == [250, 250]
    assert [received.data for received in mx.messages] == [content] * 2
    assert (mx.sessions, mx.count("DATA"), mx.count("RSET")) == (1, 0, 0)


def test_data_is_used_where_bdat_is_not_offered_or_not_wanted(mx: FakeMx) -> None:
    assert connect(hop_of(mx)).send(SENDER, [ANN], LETTER)[ANN].code == 250
    with FakeMx(extensions=("PIPELINING",)) as other:
        assert send(connect(hop_of(other))) == [250]
        assert (mx.count("BDAT"), other.count("BDAT"), other.count("DATA")) == (0, 0, 1)


def test_a_small_message_leaves_with_its_envelope() -> None:
    heard = []

    def session(peer: Peer) -> None:
        peer.greet("PIPELINING", "CHUNKING")
        for _ in range(2):
            heard.append(peer.gulp())
            peer.say("250 ok\n250 ok\n250 taken")

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        assert [send(client), send(client)] == [[250], [250]]
    envelope = b"MAIL FROM:<joe@here.test>\r\nRCPT TO:<ann@there.test>\r\nBDAT 25 LAST\r\n"
    assert heard == [envelope + CONTENT] * 2


def test_a_large_message_waits_for_a_recipient() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING", "CHUNKING")
        peer.until(b"RCPT TO:<ann@there.test>\r\n")
        assert peer.is_quiet()
        peer.say("250 ok\n550 no")
        assert peer.hear() == "RSET"

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        assert send(client, message=Letter(b"x" * (MAX_UNASKED + 1))) == [550]
        with pytest.raises(ConnectionLost):
            send(client)


def test_a_reply_too_many_is_not_taken_for_that_of_the_message() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING", "CHUNKING")
        peer.until(b"RCPT TO:<ann@there.test>\r\n")
        peer.say("250 ok\n250 ok\n250 and more")
        assert peer.gulp() == b""

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        with pytest.raises(ConnectionLost, match="a reply too many"):
            send(client, message=Letter(b"x" * (MAX_UNASKED + 1)))


def test_some_recipients_refused(mx: FakeMx) -> None:
    mx.reply("rcpt", "550 5.1.1 unknown", rcpt="bob@there.test")
    assert send(connect(hop_of(mx)), ANN, BOB) == [250, 550]
    assert mx.rcpts() == ["ann@there.test"]


@pytest.mark.parametrize(("phase", "answer"), [("mail", "550 no"), ("rcpt", "550 no"), ("rcpt", "450 later")])
@pytest.mark.parametrize("message", [LETTER, LONG], ids=["small", "large"])
def test_after_a_refused_envelope_the_next_message_goes_through(
    mx: FakeMx, phase: str, answer: str, message: Letter
) -> None:
    mx.reply(phase, answer, "250 ok")
    if phase == "mail" and "PIPELINING" in mx.extensions:
        mx.reply("rcpt", "503 MAIL first", "250 ok")
    client = connect(hop_of(mx))
    assert send(client, message=message) == [int(answer[:3])]
    assert send(client, BOB) == [250]
    assert ([received.rcpts for received in mx.messages], mx.sessions) == ([["bob@there.test"]], 1)


@pytest.mark.parametrize("answer", ["552 5.3.4 too big", "451 4.3.0 later", "503 what?"])
def test_a_refused_message_and_the_next_one(mx: FakeMx, answer: str) -> None:
    mx.reply("dot", answer, "250 ok")
    client = connect(hop_of(mx))
    assert send(client, ANN, BOB) == [int(answer[:3])] * 2
    assert send(client) == [250]
    assert (mx.count("RSET"), mx.sessions) == (1, 1)


@pytest.mark.parametrize("message", [LETTER, LONG], ids=["small", "large"])
@pytest.mark.parametrize("answer", ["500 5.5.1 what?", "502 not here"])
def test_a_peer_that_offers_bdat_and_does_not_know_it_loses_no_mail(
    mx: FakeMx, answer: str, message: Letter
) -> None:
    client = connect(hop_of(mx.reply("dot", answer).reply("bdat", answer)))
    replies = client.send(SENDER, [ANN, BOB], message, chunking=True)
    assert [str(reply)[:9] for reply in replies.values()] == ["451 4.5.1"] * 2
    assert f"({answer}): set chunking=false" in replies[ANN].text
    assert not client.usable


def test_a_refused_piece_decides_and_the_rest_is_not_sent(mx: FakeMx) -> None:
    mx.reply("bdat", "552 5.3.4 too big")
    client = connect(hop_of(mx))
    assert send(client, message=Letter(*[LINE * 64] * 80)) == [552]
    assert mx.count("BDAT") < 80 * 64 * len(LINE) / PIECE
    assert send(client) == [250]
    assert (mx.count("RSET"), len(mx.messages), mx.sessions) == (1, 1, 1)


def test_a_refused_piece_though_the_last_one_is_out(mx: FakeMx) -> None:
    mx.reply("bdat", "452 4.3.1 full")
    client = connect(hop_of(mx))
    assert send(client, message=Letter(*[LINE * 64] * 6)) == [452]  # two pieces
    assert send(client) == [250]
    assert (len(mx.messages), mx.sessions) == (1, 1)


@pytest.mark.parametrize(
    ("phase", "message"), [("mail", LETTER), ("rcpt", LETTER), ("dot", LETTER), ("bdat", LONG)]
)
def test_421_decides_and_ends_the_connection(mx: FakeMx, phase: str, message: Letter) -> None:
    client = connect(hop_of(mx.reply(phase, "421 4.3.2 bye")))
    assert send(client, ANN, BOB, message=message) == [421, 421]
    assert not client.usable


def test_success_for_a_message_without_recipients_is_not_believed() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING", "CHUNKING")
        peer.until(CONTENT)
        peer.say("250 ok\n550 no\n250 taken")

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        assert send(client) == [550]
        assert not client.usable


# -- connections that break: whether anything can have been delivered


@pytest.mark.parametrize(
    ("said", "phase"),
    [
        (b"", "mail"),  # it closed before it looked: a kept connection that was closed unseen
        (b"250 ok\r\n", "dot"),
        (b"250 ok\r\n250 ok\r\n", "dot"),
        (b"25", "mail"),
    ],
)
def test_where_a_connection_was_lost(said: bytes, phase: str) -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING", "CHUNKING")
        peer.until(CONTENT)
        peer.say(said)

    with ScriptedPeer(session) as peer, pytest.raises(ConnectionLost) as lost:
        send(connect(peer.hop))
    assert lost.value.phase == phase


def test_a_peer_that_is_silent_or_garbles_has_the_message() -> None:
    def silent(peer: Peer) -> None:
        peer.greet("PIPELINING", "CHUNKING")
        peer.until(CONTENT)
        peer.gulp()

    def garbling(peer: Peer) -> None:
        peer.greet("PIPELINING", "CHUNKING")
        peer.until(CONTENT)
        peer.say("hello")

    with ScriptedPeer(silent, garbling) as peer:
        with pytest.raises(ConnectionLost) as lost:
            send(connect(peer.hop, timeouts=Timeouts(mail=0.1)))
        with pytest.raises(MalformedReply) as malformed:
            send(connect(peer.hop))
    assert (lost.value.phase, malformed.value.phase) == ("dot", "dot")


def test_a_refused_sender_is_what_counts_when_the_peer_hangs_up() -> None:
    def session(peer: Peer) -> None:
        peer.greet("PIPELINING", "CHUNKING")
        peer.until(CONTENT)
        peer.say("550 no")

    with ScriptedPeer(session) as peer:
        assert send(connect(peer.hop), ANN, BOB) == [550, 550]


def test_a_connection_lost_between_pieces_has_delivered_nothing(mx: FakeMx) -> None:
    with pytest.raises(ConnectionLost) as lost:
        send(connect(hop_of(mx.drop("body"))), message=Letter(*[LINE * 64] * 80))
    assert lost.value.phase == "chunk"


# -- LMTP


@pytest.mark.parametrize("message", [LETTER, LONG], ids=["small", "large"])
def test_lmtp_answers_the_last_piece_for_each_recipient(message: Letter) -> None:
    with FakeMx(lmtp=True, extensions=("PIPELINING", "CHUNKING")) as mx:
        mx.reply("dot", "550 5.2.2 full", rcpt="bob@there.test")
        client = connect(hop_of(mx))
        assert send(client, ANN, BOB, message=message) == [250, 550]
        assert send(client, ANN) == [250]
        assert mx.count("BDAT") and not mx.count("DATA")


def test_lmtp_that_refuses_everybody_gets_no_message() -> None:
    with FakeMx(lmtp=True, extensions=("PIPELINING", "CHUNKING")) as mx:
        client = connect(hop_of(mx.reply("rcpt", "550 no", "250 ok")))
        assert send(client) == [550]
        assert mx.count("BDAT") == 0
        assert send(client) == [250]


# -- anything at all

FRAGMENTS = (
    *(
        b"250 ok\r\n",
        b"250-ok\r\n",
        b"550 no\r\n",
        b"452 full\r\n",
        b"503 what\r\n",
        b"421 bye\r\n",
        b"354 go\r\n",
    ),
    *(b"250", b"\r\n", b"\n", b"\0", b"\xff\xfe", b"999 x\r\n", b"x" * 5000),
)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_peer_says_ends_in_replies_or_a_client_error(seed: int) -> None:
    chance = random.Random(seed)
    said = b"".join(chance.choices(FRAGMENTS[:7] if seed % 3 else FRAGMENTS, k=chance.randrange(12)))
    message = chance.choice((LETTER, LONG))

    def session(peer: Peer) -> None:
        peer.greet("CHUNKING", *(["PIPELINING"] if seed % 2 else []))
        peer.say(said)
        peer.sock.shutdown(socket.SHUT_WR)
        while peer.gulp():
            pass

    with ScriptedPeer(session) as peer:
        client = connect(peer.hop)
        try:
            codes = send(client, ANN, BOB, message=message)
        except ClientError as error:
            assert "\n" not in str(error) and not client.usable
        else:
            assert all(code // 100 in (2, 4, 5) for code in codes) and len(codes) == 2
            client.close()
