"""What --dump-mime and --dump-stream show of the mail, once all plugins have had it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from mta.plugin import Answer, Body, Connection, Plugin, TooManyParts, Transaction

LAST_MOMENT = -100  # before any other plugin lets go of the mail


class Dump(Plugin):
    """Shows a mail when its transaction ends: its MIME structure with the texts, or the whole of it."""

    name = "dump"

    def __init__(self, *, mime: bool, stream: bool) -> None:
        self.mime = mime
        self.stream = stream
        self.register_hook("reset_transaction", "show", LAST_MOMENT)

    def show(self, connection: Connection) -> Answer:
        """Print it, if the message has come."""
        transaction = connection.transaction
        if transaction is None or not transaction.data_bytes:
            return None
        if self.mime:
            print("--- MIME structure")
            for line in mime_lines(transaction):
                print("".join(map(_printable, line)))
        if self.stream:
            print("--- message")
            sys.stdout.flush()
            for chunk in transaction.message_stream.read():
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        print("---")
        return None


def mime_lines(transaction: Transaction) -> Iterator[str]:
    """One line for each part, those within others indented, and below a text what it says."""
    try:
        yield from _part_lines(transaction.body, 0)
    except TooManyParts as error:
        yield f"{error}"


def _part_lines(part: Body, depth: int) -> Iterator[str]:
    margin = "  " * depth
    named = f" {part.filename}" if part.filename else ""
    kind = " attachment" if part.is_attachment else ""
    yield f"{margin}{part.content_type}{kind}{named}"
    if part.is_multipart:
        for child in part.children:
            yield from _part_lines(child, depth + 1)
    elif not part.is_attachment:
        for line in part.bodytext.splitlines():
            yield f"{margin}  | {line}"


def _printable(character: str) -> str:
    """A mail shall not move the cursor of whoever looks at it."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()
