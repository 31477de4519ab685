"""Extensions through the real server: BDAT to the next hop, binary MIME, and mail that is held over kill -9 and a flush."""

from __future__ import annotations

import email
import time
from collections.abc import Callable

from mta.outbound.qfile import QueueFileName
from mta.outbound.todo import Todo
from mta.smtp.address import Address
from tests.support.client import RawClient
from tests.support.compare import assert_same_message
from tests.support.server import Server, eventually
from tests.support.sink import RecordingSink

SENDER, RCPT = "<sender@example.test>", "<rcpt@example.com>"
HEADER = b"From: <sender@example.test>\r\nSubject: chunks\r\n"


def begin(client: RawClient, params: str = "", rcpt_params: str = "") -> None:
    assert client.command(f"MAIL FROM:{SENDER}{params}").startswith("250 ")
    assert client.command(f"RCPT TO:{RCPT}{rcpt_params}").startswith("250 ")


def bdat(client: RawClient, data: bytes, last: str = "") -> str:
    client.write(b"BDAT %d%s\r\n" % (len(data), last.encode()) + data)
    return client.read()


def test_chunks_arrive_as_they_were_sent(relay_to: Callable[..., Server], sink: RecordingSink) -> None:
    relay = relay_to(sink.port)
    message = HEADER + b"\r\n" + b".\r\n..\r\nMAIL FROM:<x@example.test>\r\n\xff\0\r\n" * 20_000
    with RawClient(relay.port) as client:
        begin(client)
        for start in range(0, len(message), 100_001):
            assert bdat(client, message[start : start + 100_001]).startswith("250 ")
        assert bdat(client, b"", " LAST").startswith("250 2.0.0 Message Queued")
    assert_same_message(message, sink.wait_for(1, 20)[0].data)


def test_binary_octets_arrive(relay_to: Callable[..., Server], sink: RecordingSink) -> None:
    relay = relay_to(sink.port)
    body = bytes(range(256)) * 100 + b"\n.\nQUIT\n\r\n.\r\n"
    with RawClient(relay.port) as client:
        begin(client, " BODY=BINARYMIME")
        head = HEADER + b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        assert bdat(client, head + body, " LAST").startswith("250 2.0.0 Message Queued")
    (received,) = sink.wait_for(1, 20)
    assert email.message_from_bytes(received.data).get_payload(decode=True) == body


def test_held_mail_keeps_its_envelope_and_its_time(
    relay_to: Callable[..., Server], sink: RecordingSink
) -> None:
    relay = relay_to(sink.port)
    with RawClient(relay.port) as client:
        begin(client, " HOLDFOR=10 RET=HDRS ENVID=QQ+2B1", " NOTIFY=NEVER ORCPT=rfc822;joe@example.com")
        said = time.time()
        assert bdat(client, HEADER + b"\r\n", " LAST").startswith("250 ")
    (name,) = relay.entries()
    assert abs(QueueFileName.parse(name).next_attempt / 1000 - said - 10) < 2
    data = (relay.directory / "queue" / name).read_bytes()
    todo = Todo.decode(data[4 : 4 + int.from_bytes(data[:4], "big")])
    assert todo.mail_params == {"RET": "HDRS", "ENVID": "QQ+2B1"}
    assert todo.rcpt_params(Address.parse(RCPT)) == {"NOTIFY": "NEVER", "ORCPT": "rfc822;joe@example.com"}
    relay.kill()
    relay.start()
    relay.flush()
    assert eventually(lambda: "Flushing" in relay.log)
    time.sleep(0.5)
    assert sink.messages == []
    sink.wait_for(1, 20)
    assert time.time() > said + 5
