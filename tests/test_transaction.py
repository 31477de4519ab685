"""The transaction: envelope, header, and the body that is parsed when somebody asks."""

import gc
import weakref
from pathlib import Path

import pytest

from mta.connection import Connection, Endpoint
from mta.logger import WARN, Logger
from mta.message import mime
from mta.message.body import Body
from mta.message.header import Header
from mta.message.mime import TooManyParts
from mta.message.stream import MessageStream
from mta.smtp.address import Address
from mta.transaction import Transaction

MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: image/png; name=a.png\r\n\r\n\x89PNG\r\n--b--\r\n"  # fmt: skip


def transaction_with(message: bytes = MIXED) -> Transaction:
    return Transaction("UUID.1", Address.parse("<a@b.c>"), MessageStream.from_message(message))


def test_the_body_is_parsed_once_and_again_when_the_message_is_another() -> None:
    transaction = transaction_with()
    body = transaction.body
    assert transaction.body is body
    assert transaction.mime_part_count == 2
    transaction.add_data(b"more\r\n")
    assert transaction.body is not body
    transaction.message_stream.header = Header(b"Subject: x\r\n")
    assert transaction.mime_part_count == 0


def test_before_data_the_body_is_empty() -> None:
    transaction = Transaction("UUID.1", Address.parse("<>"), MessageStream())
    assert (transaction.body.bodytext, transaction.body.content_type) == ("", "text/plain")


def test_nobody_parses_what_nobody_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Body:
        raise AssertionError("parsed")

    monkeypatch.setattr(mime, "parse", refuse)
    transaction = transaction_with()
    transaction.add_header("X-A", "1")
    transaction.add_leading_header("Received", "x")
    transaction.remove_header("X-A")
    assert b"".join(transaction.message_stream.chunks()).startswith(b"Received: x\r\nContent-Type")
    assert not transaction.wants_body


def test_attachments_are_files() -> None:
    (part,) = transaction_with().attachments()
    assert (part.content_type, part.filename) == ("image/png", "a.png")
    with part.open() as file:
        assert file.read() == b"\x89PNG"
    assert list(part.chunks()) == [b"\x89PNG"]


def test_attachment_hooks_see_each_attachment_once() -> None:
    transaction = transaction_with()
    seen: list[Body] = []
    transaction.attachment_hooks(seen.append)
    assert transaction.wants_body
    transaction.look_into_body()
    transaction.look_into_body()
    assert [part.filename for part in seen] == ["a.png"]
    assert not transaction.wants_body


def test_too_many_parts() -> None:
    transaction = transaction_with()
    transaction.max_mime_parts = 1
    with pytest.raises(TooManyParts):
        list(transaction.attachments())
    assert transaction.too_many_parts


def test_parse_body_has_the_parts_counted() -> None:
    transaction = transaction_with()
    transaction.parse_body = True
    transaction.max_mime_parts = 1
    with pytest.raises(TooManyParts):
        transaction.look_into_body()


def test_filters_and_banner() -> None:
    transaction = transaction_with()
    transaction.add_body_filter("text/plain", lambda _type, _charset, octets: octets.upper())
    transaction.set_banner("Bye")
    transaction.look_into_body()
    assert transaction.body.children[0].bodytext == "TEXT\nBye\n"
    assert transaction.body.children[1].decoded() == b"\x89PNG"
    assert transaction.data_bytes == len(b"".join(transaction.message_stream.chunks()))


def test_discarded_data_is_not_kept() -> None:
    transaction = Transaction("UUID.1", Address.parse("<>"), MessageStream())
    transaction.discard_data = True
    transaction.message_stream.append(b"x\r\n")
    assert transaction.discard_data
    assert transaction.data_bytes == 0


def test_added_data_is_stuffed() -> None:
    transaction = Transaction("UUID.1", Address.parse("<>"), MessageStream())
    transaction.add_data(b".dot\r\n.\r\n")
    assert b"".join(transaction.message_stream.body_chunks()) == b"..dot\r\n..\r\n"


@pytest.mark.parametrize("data", [b"", b"no end", b"a\n", b"a\nb\r\n", b"a\rb\r\n"])
def test_only_whole_lines_are_added(data: bytes) -> None:
    with pytest.raises(ValueError, match="CRLF"):
        transaction_with().add_data(data)


def test_a_message_that_was_looked_into_goes_when_it_is_over(tmp_path: Path) -> None:
    gc.disable()
    try:
        stream = MessageStream(str(tmp_path), 0, "M1")
        stream.header = Header(MIXED.split(b"\r\n\r\n")[0])
        stream.append(MIXED.split(b"\r\n\r\n", 1)[1])
        transaction = Transaction("UUID.1", Address.parse("<>"), stream)
        body = transaction.body
        transaction.set_banner("Bye")
        transaction.look_into_body()
        assert transaction.mime_part_count == 2
        stream.discard()
        assert body.children[1].decoded() == b"\x89PNG"
        gone = weakref.ref(transaction)
        del transaction, stream, body
        assert gone() is None
        assert not list(tmp_path.iterdir())
    finally:
        gc.enable()


def test_results_for_the_authentication_field() -> None:
    connection = Connection(Logger(WARN, write=print), Endpoint(), Endpoint())
    assert connection.auth_results() == []
    connection.auth_results("iprev=pass")
    for _ in range(2):
        connection.transaction = transaction_with()
        assert connection.auth_results("spf=pass") == ["iprev=pass", "spf=pass"]
    assert connection.notes.authentication_results == ["iprev=pass"]
