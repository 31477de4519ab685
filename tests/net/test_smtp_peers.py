"""The client with servers that others, and we ourselves, have written: one kept connection, message after message."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.net.client_pool import ClientPool
from mta.net.next_hop import NextHop
from mta.net.smtp_client import SmtpClient
from mta.smtp.address import NULL, Address
from tests.net.scripted_peer import Letter
from tests.support.needs import program
from tests.support.postfix import Postfix
from tests.support.service import Inbound, Local
from tests.support.sink import EXTENSIONS, PostfixSink, RecordingSink

SENDER = Address.parse("joe@here.test")
ANN, BOB, NOBODY = (Address.parse(f"{name}@example.com") for name in ("ann", "bob", "nobody"))
STRANGER = Address.parse("x@elsewhere.test")
HEAD = b"From: <joe@here.test>\r\nTo: <ann@example.com>\r\nSubject: x\r\nMessage-Id: <1@here.test>\r\nDate: Sun, 22 Nov 2026 01:21:39 +0000\r\n\r\n"
SMALL = b"..\r\n..dot\r\nMAIL FROM:<x@example.com>\r\nQUIT\r\n"
LONG = (b"x" * 900 + b"\r\n..y\r\n") * 1000  # four pieces
UNSTUFFED = {SMALL: SMALL.replace(b"..", b"."), LONG: LONG.replace(b"..", b".")}


def letter(body: bytes) -> Letter:
    message = HEAD + body
    return Letter(*(message[start : start + 50_000] for start in range(0, len(message), 50_000)))


def connect(port: int) -> SmtpClient:
    return SmtpClient.connect(NextHop("127.0.0.1", port, tls="off"), helo="here.test", connect_timeout=5)


@pytest.mark.parametrize("chunking", [True, False])
def test_our_own_server(chunking: bool) -> None:
    local = Local()
    with Inbound([local]) as inbound:
        client = connect(inbound.port)
        assert {"CHUNKING", "DSN", "PIPELINING"} <= client.extensions.keys()
        told = {"mail_params": {"RET": "HDRS", "ENVID": "x"}, "rcpt_params": {ANN: {"NOTIFY": "NEVER"}}}
        for body, rcpts, codes in (
            (SMALL, [ANN, BOB], [250, 250]),
            (LONG, [ANN], [250]),
            (SMALL, [STRANGER], [550]),
            (LONG, [STRANGER], [550]),
            (SMALL, [STRANGER, ANN], [550, 250]),
        ):
            replies = client.send(SENDER, rcpts, letter(body), chunking=chunking, **told)
            assert [reply.code for reply in replies.values()] == codes
            assert client.usable
        client.quit()
    bodies = [message.partition(b"\r\n\r\n")[2] for _, _, message in local.mails]
    assert bodies == [SMALL, LONG, SMALL]  # as stored: dots stuffed


@pytest.mark.slow
@pytest.mark.parametrize("chunking", [True, False])
def test_postfix(chunking: bool) -> None:
    settings = {
        "smtpd_recipient_restrictions": "check_recipient_access inline:{ {nobody@example.com = REJECT} }, permit",
        "smtpd_sender_restrictions": "check_sender_access inline:{ {spam@here.test = REJECT} }, permit",
        "message_size_limit": "2000000",
    }
    with RecordingSink(extensions=(*EXTENSIONS, "DSN")) as sink, Postfix(sink.port, settings) as postfix:
        client = connect(postfix.port)
        assert {"CHUNKING", "DSN", "PIPELINING"} <= client.extensions.keys()
        spammer = Address.parse("spam@here.test")
        told = {"mail_params": {"RET": "HDRS", "ENVID": "abc"}, "rcpt_params": {ANN: {"NOTIFY": "FAILURE"}}}
        for sender, body, rcpts, codes in (
            (SENDER, SMALL, [ANN], [250]),
            (spammer, SMALL, [ANN], [554]),
            (spammer, LONG, [ANN], [554]),
            (SENDER, SMALL, [NOBODY], [554]),
            (SENDER, LONG, [NOBODY], [554]),
            (SENDER, LONG, [ANN, NOBODY], [250, 554]),
            (NULL, SMALL, [NOBODY, ANN], [554, 250]),
            (SENDER, LONG * 3, [ANN], [552]),
        ):
            replies = client.send(sender, rcpts, letter(body), chunking=chunking, **told)
            assert [reply.code for reply in replies.values()] == codes, replies
            assert client.usable
        client.quit()
        received = sorted(sink.wait_for(3), key=lambda message: (message.mail_from, len(message.wire)))
        bodies = [message.data.partition(b"\r\n\r\n")[2] for message in received]
        assert bodies == [UNSTUFFED[SMALL], UNSTUFFED[SMALL], UNSTUFFED[LONG]]
        assert all("RET=HDRS" in message.mail_params for message in received)
        # It would say so if it had taken a line of a message for a command.
        assert "warning" not in postfix.log and "improper" not in postfix.log, postfix.log


def test_smtp_sink(tmp_path: Path) -> None:
    program("smtp-sink", "postfix")
    pool = ClientPool()
    with PostfixSink(tmp_path) as sink:
        for number in range(20):
            client = pool.acquire(NextHop("127.0.0.1", sink.port, tls="off"), helo="here.test")
            assert client.reused is (number > 0)
            assert client.send(SENDER, [ANN, BOB], letter(SMALL), chunking=True)[BOB].code == 250
            pool.release(client)
        pool.close_all()
        sink.wait_for(20)
