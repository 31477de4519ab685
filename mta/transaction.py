"""One mail transaction: from MAIL to the reply after the final dot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mta.counts import Counts
from mta.message.stream import MessageStream
from mta.notes import Notes
from mta.results import Results

if TYPE_CHECKING:
    from mta.message.header import Header
    from mta.smtp.address import Address


class Transaction:
    """Envelope and message of one mail, and what plugins noted about it."""

    __slots__ = (
        "__weakref__",
        "_results",
        "mail_from",
        "message_stream",
        "notes",
        "params",
        "rcpt_count",
        "rcpt_to",
        "relaying",
        "start_time",
        "uuid",
    )

    def __init__(self, uuid: str, mail_from: Address, message_stream: MessageStream) -> None:
        self.uuid = uuid
        self.mail_from = mail_from
        self.rcpt_to: list[Address] = []
        self.rcpt_count = Counts()
        self.params: dict[str, str | None] = {}
        self.message_stream = message_stream
        self.notes = Notes(skip_plugins=[])
        self.relaying: bool | None = None
        self.start_time = time.time()
        self._results: Results | None = None

    @property
    def results(self) -> Results:
        """What plugins found out about this mail."""
        if self._results is None:
            self._results = Results(self)
        return self._results

    @property
    def header(self) -> Header:
        """The header of the message; empty before DATA."""
        return self.message_stream.header

    @property
    def data_bytes(self) -> int:
        """Bytes of the message so far, as it is stored (with dots stuffed)."""
        return self.message_stream.size

    def add_header(self, name: str, value: str) -> None:
        """Append a header field. Raises ValueError for a name that RFC 5322 2.2 forbids."""
        self.header.add(name, value)

    def add_leading_header(self, name: str, value: str) -> None:
        """Put a header field before all others, as trace fields must be."""
        self.header.add_leading(name, value)

    def remove_header(self, name: str) -> None:
        """Remove every field of that name."""
        self.header.remove(name)
