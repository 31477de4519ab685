"""Mail of our own: every form of addresses and contents, and what is said about those that are none."""

from __future__ import annotations

import io
from email.message import EmailMessage

import pytest

from mta.message.stream import MessageStream
from mta.outbound.compose import Refused, compose, message_of
from mta.smtp.address import NULL, Address
from mta.transaction import Transaction

LETTER = EmailMessage()
LETTER["Subject"] = "x"
LETTER.set_content("hi\n.dot\n")

PLAIN = b"Subject: x\r\n\r\n.dot\r\n..two\r\n.\r\nend\r\n"


def stored(contents: object, **options: object) -> bytes:
    transaction = compose("UUID", NULL, "joe@b.test", contents, options)
    return transaction.message_stream.get_data(stuffed=True)


@pytest.mark.parametrize(
    "contents",
    [
        "Subject: x\n\n.dot\n..two\n.\nend\n",
        "Subject: x\n\n.dot\n..two\n.\nend",
        "Subject: x\r\n\r\n.dot\r..two\n.\r\nend",
        PLAIN,
        PLAIN.replace(b"\r\n", b"\r"),
        bytearray(PLAIN),
        memoryview(PLAIN),
        io.BytesIO(PLAIN),
        io.StringIO(PLAIN.decode()),
        [PLAIN[i : i + 1] for i in range(len(PLAIN))],
        iter(PLAIN.decode().splitlines(keepends=True)),
        (line + "\n" for line in PLAIN.decode().split("\r\n")[:-1]),
        [PLAIN[:9], PLAIN[9:].decode()],
        MessageStream.from_message(PLAIN),
        MessageStream.from_message(PLAIN).open(),
    ],
    ids=lambda contents: type(contents).__name__,
)
def test_contents_in_any_form(contents: object) -> None:
    assert stored(contents) == b"Subject: x\r\n\r\n..dot\r\n...two\r\n..\r\nend\r\n"


def test_a_letter_of_the_standard_library() -> None:
    assert stored(LETTER).endswith(b"\r\n\r\nhi\r\n..dot\r\n")
    assert stored(LETTER).startswith(b"Subject: x\r\n")


@pytest.mark.parametrize(
    ("contents", "kept"),
    [
        ("Subject: x\n\n..dot\nend", b"Subject: x\r\n\r\n..dot\r\nend\r\n"),
        ("Subject: x\n\n.dot\nend", b"Subject: x\r\n\r\ndot\r\nend\r\n"),
        ("Subject: x\n\nend\n.\n", b"Subject: x\r\n\r\nend\r\n"),
        (".\n", b""),
    ],
)
def test_contents_in_smtp_form(contents: str, kept: bytes) -> None:
    assert stored(contents, dot_stuffed=True) == kept


@pytest.mark.parametrize("stuffed", [True, False])
@pytest.mark.parametrize(
    "contents", ["\n.\n", "a\n.\nMAIL FROM:<x>\n", ".\r.\r", "x\r\n.\n.\r\n", ".\n\n.\n.\n"]
)
def test_no_contents_can_end_the_message_on_its_way(contents: str, stuffed: bool) -> None:
    lines = stored(contents, dot_stuffed=stuffed).split(b"\r\n")
    assert b"." not in lines
    assert not any(b"\r" in line or b"\n" in line for line in lines)


def test_text_is_utf_8() -> None:
    assert message_of("Grüße") == "Grüße\r\n".encode()
    assert message_of(b"\xff\xfe".decode("utf-8", "surrogateescape")) == b"\xff\xfe\r\n"


def test_nothing_is_a_mail_too() -> None:
    assert message_of("") == message_of([]) == b""


class Broken(io.RawIOBase):
    def read(self, size: int = -1, /) -> bytes:
        raise OSError("the tape is torn")


def breaks():
    yield "Subject: x\n"
    raise RuntimeError("no more")


@pytest.mark.parametrize(
    ("mail_from", "rcpts", "contents", "reply"),
    [
        ("me@", "a@b.test", "", "550 5.1.7 Malformed from: "),
        ("a b@c.test", "a@b.test", "", "550 5.1.7 Malformed from: "),
        ("me@c.test\r\nRCPT TO:<x@y.test>", "a@b.test", "", "550 5.1.7 Malformed from: "),
        (None, "a@b.test", "", "550 5.1.7 Malformed from: neither an address nor text but nothing"),
        (["me@c.test"], "a@b.test", "", "550 5.1.7 Malformed from: neither an address nor text but list"),
        ("", "b.test", "", "550 5.1.3 Malformed to address (b.test): "),
        ("", ["a@b.test", "b@"], "", "550 5.1.3 Malformed to address (b@): "),
        ("", "", "", "550 5.1.3 Malformed to address (): an address without a domain"),
        ("", NULL, "", "550 5.1.3 Malformed to address (<>): an address without a domain"),
        ("", "postmaster", "", "550 5.1.3 Malformed to address (postmaster): an address without"),
        ("", [None], "", "550 5.1.3 Malformed to address (None): neither an address nor text but nothing"),
        ("", 7, "", "550 5.1.3 Malformed to address (7): neither an address nor text but int"),
        ("", [], "", "550 5.1.3 No recipients for email"),
        ("", "a@b.test", None, "550 5.6.0 Malformed contents: they are not text, bytes, lines or a file"),
        ("", "a@b.test", {"Subject": "x"}, "550 5.6.0 Malformed contents: they are not text"),
        ("", "a@b.test", [1], "550 5.6.0 Malformed contents: a piece of them is not text or bytes but int"),
        ("", "a@b.test", "\ud800", "550 5.6.0 Malformed contents: half a character"),
        ("", "a@b.test", Broken(), "451 4.3.0 Error from stream line reader: the tape is torn"),
        ("", "a@b.test", breaks(), "451 4.3.0 Error from stream line reader: no more"),
    ],
)
def test_what_is_no_mail_is_refused(mail_from: object, rcpts: object, contents: object, reply: str) -> None:
    with pytest.raises(Refused) as refused:
        compose("UUID", mail_from, rcpts, contents, {})
    assert str(refused.value.reply).startswith(reply)
    assert b"\r\n" not in refused.value.reply.to_bytes()[:-2]


def test_notes_are_a_mapping() -> None:
    with pytest.raises(Refused, match="Malformed notes: not a mapping but str"):
        compose("UUID", NULL, "a@b.test", "", {"notes": "x"})


def test_a_recipient_counts_once() -> None:
    rcpts = ["b@c.test", Address.parse("a@b.test"), "<b@C.test>"]
    transaction = compose("UUID", "me@a.test", rcpts, "", {"notes": {"k": 1}})
    assert isinstance(transaction, Transaction)
    assert [str(rcpt.address) for rcpt in transaction.rcpt_to] == ["b@c.test", "a@b.test"]
    assert transaction.notes == {"skip_plugins": [], "k": 1}
