"""Envelopes and messages to put into a spool."""

from collections.abc import Iterator

from mta.notes import Notes
from mta.outbound.todo import Todo
from mta.smtp.address import Address

NOW = 1784878079415  # milliseconds
SMALL = b"Subject: hello\r\n\r\n..dots and 8 bits: \xe4\r\n"
LARGE = SMALL + b"0123456789abcdef" * 62_500 + b"\r\n"  # 1 MB


class Message:
    """A message in pieces; one that is a single piece is `whole`, as a message in memory is."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces))
        self.whole = pieces[0] if len(pieces) == 1 else None

    def chunks(self) -> Iterator[bytes]:
        return iter(self.pieces)


def todo(number: int = 1, rcpts: int = 1) -> Todo:
    domain = f"d{number}.example.com"
    return Todo(
        queue_time=NOW,
        domain=domain,
        rcpt_to=[Address(f"bob{rcpt}", domain) for rcpt in range(rcpts)],
        mail_from=Address("alice", "example.org"),
        notes=Notes(skip_plugins=[]),
        uuid=f"0F0F0F0F-AAAA-4BBB-8CCC-123456789ABC.1.{number}",
    )
