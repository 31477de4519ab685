"""Messages attached to messages."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest

from mta.message.mime import MAX_PARTS, TooManyParts, parse
from mta.message.nested import MAX_NESTED, walk_nested
from mta.message.stream import MessageStream


def tree_of(message: EmailMessage | bytes):
    raw = message if isinstance(message, bytes) else message.as_bytes()
    stream = MessageStream.from_message(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return parse(stream.header, stream.body_data())


def mail(name: str, attached: EmailMessage | None = None) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = name
    message.set_content(".a line with a dot\n")
    message.add_attachment(name.encode(), maintype="application", subtype="pdf", filename=name)
    if attached is not None:
        message.add_attachment(attached)
    return message


def names(tree, max_parts: int = MAX_PARTS) -> list[str]:
    return [part.filename for part in walk_nested(tree, max_parts) if part.filename]


def test_parts_of_attached_messages_come_behind_them() -> None:
    tree = tree_of(mail("one", mail("two", mail("three"))))
    assert names(tree) == ["one", "two", "three"]
    assert [part.decoded() for part in walk_nested(tree, MAX_PARTS) if part.filename] == [
        b"one",
        b"two",
        b"three",
    ]
    assert list(walk_nested(tree_of(mail("one")), MAX_PARTS)) != []


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_an_encoded_message_whatever_its_line_ends(line_end: bytes) -> None:
    inner = base64.encodebytes(mail("inner").as_bytes().replace(b"\n", line_end))
    outer = (
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n"
        b"Content-Transfer-Encoding: base64\n\n" + inner + b"--x--\n"
    )
    assert names(tree_of(outer)) == ["inner"]


def test_a_message_that_is_nothing_but_another_one() -> None:
    tree = tree_of(b"Content-Type: message/rfc822\n\n" + mail("inner").as_bytes())
    assert names(tree) == ["inner"]


def test_limits() -> None:
    deep = mail("0")
    for number in range(MAX_NESTED):
        deep = mail(str(number), deep)
    assert len(names(tree_of(deep))) == MAX_NESTED + 1
    with pytest.raises(TooManyParts):
        names(tree_of(mail("too deep", deep)))
    with pytest.raises(TooManyParts):
        names(tree_of(deep), 5)
