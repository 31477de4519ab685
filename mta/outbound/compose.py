"""A mail of our own becomes a transaction: whatever form plugins have addresses and contents in, one comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mta.message.dots import unstuff
from mta.message.stream import MessageStream
from mta.smtp.address import Address, AddressError
from mta.smtp.reply import Reply
from mta.transaction import Transaction

if TYPE_CHECKING:
    from mta.plugin.server import Contents, MailOptions, Recipients

BLOCK = 64 * 1024


class Refused(Exception):
    """The mail can not be made; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def compose(
    uuid: str,
    mail_from: Address | str,
    rcpts: Recipients,
    contents: Contents,
    options: MailOptions,
) -> Transaction:
    """The transaction for a mail, see mta.plugin.server.Server.send_email. Raises Refused, whatever it is given."""
    sender, recipients = _sender(mail_from), _recipients(rcpts)
    message = message_of(contents, dot_stuffed=options.get("dot_stuffed", False))
    transaction = Transaction(uuid, sender, MessageStream.from_message(message))
    transaction.rcpt_to.extend(recipients)
    transaction.notes.update(_notes(options.get("notes")))
    if options.get("remove_msgid"):
        transaction.remove_header("Message-Id")
    if options.get("remove_date"):
        transaction.remove_header("Date")
    return transaction


def message_of(contents: object, *, dot_stuffed: bool = False) -> bytes:
    """The contents as whole lines with CRLF, dots as their author wrote them. Raises Refused."""
    data = b"".join(map(_octets, _pieces(contents)))
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    if lines and not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    return _unstuffed(lines) if dot_stuffed else lines


def _unstuffed(lines: bytes) -> bytes:
    """Undo what SMTP does to dots, the final one included: a lone dot that went on from here would end the message."""
    if lines == b".\r\n" or lines.endswith(b"\r\n.\r\n"):
        lines = lines[: -len(b".\r\n")]
    return b"".join(unstuff([lines]))


def _pieces(contents: object) -> Iterator[object]:
    """The contents piece by piece. Raises Refused when reading them fails: that may be better next time."""
    source = _source(contents)
    try:
        yield from source
    except Exception as error:
        raise Refused(Reply(451, f"Error from stream line reader: {error}", "4.3.0")) from error


def _source(contents: Any) -> Iterable[object]:
    if isinstance(contents, str | bytes | bytearray | memoryview):
        return (contents,)
    if isinstance(contents, MessageStream):
        return contents.read()
    if callable(getattr(contents, "as_bytes", None)):
        return _whole(contents)
    if callable(getattr(contents, "read", None)):
        return _blocks(contents)
    if isinstance(contents, Iterable) and not isinstance(contents, Mapping):
        return contents
    raise _malformed(f"they are not text, bytes, lines or a file but {_kind(contents)}")


def _whole(letter: Any) -> Iterator[object]:
    yield letter.as_bytes()


def _blocks(file: Any) -> Iterator[object]:
    while block := file.read(BLOCK):
        yield block


def _octets(piece: object) -> bytes:
    if isinstance(piece, str):
        try:
            return piece.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise _malformed(f"half a character: {error.reason}") from error
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    raise _malformed(f"a piece of them is not text or bytes but {_kind(piece)}")


def _sender(mail_from: object) -> Address:
    try:
        return _address(mail_from)
    except AddressError as error:
        raise Refused(Reply(550, f"Malformed from: {error}", "5.1.7")) from error


def _recipients(rcpts: object) -> list[Address]:
    items = rcpts if isinstance(rcpts, Iterable) and not isinstance(rcpts, str) else (rcpts,)
    recipients = list(dict.fromkeys(_recipient(item) for item in items))
    if not recipients:
        raise Refused(Reply(550, "No recipients for email", "5.1.3"))
    return recipients


def _recipient(rcpt: object) -> Address:
    try:
        address = _address(rcpt)
        if not address.host:
            raise AddressError("an address without a domain")
    except AddressError as error:
        raise Refused(Reply(550, f"Malformed to address ({rcpt}): {error}", "5.1.3")) from error
    return address


def _address(value: object) -> Address:
    if isinstance(value, Address):
        return value
    if isinstance(value, str):
        return Address.parse(value)
    raise AddressError(f"neither an address nor text but {_kind(value)}")


def _notes(notes: object) -> Mapping[str, Any]:
    if notes is None:
        return {}
    if not isinstance(notes, Mapping):
        raise Refused(Reply(550, f"Malformed notes: not a mapping but {_kind(notes)}", "5.6.0"))
    return notes


def _malformed(why: str) -> Refused:
    return Refused(Reply(550, f"Malformed contents: {why}", "5.6.0"))


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
