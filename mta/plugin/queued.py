"""What outbound hooks see: one mail waiting in the queue, and the server that runs the plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from mta.smtp.address import Address
from mta.smtp.reply import Reply


class Todo(Protocol):
    """The envelope of one queue entry: all its recipients are in `domain`."""

    @property
    def uuid(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def mail_from(self) -> Address: ...
    @property
    def rcpt_to(self) -> Sequence[Address]: ...
    @property
    def notes(self) -> Mapping[str, Any]: ...


class MessageSource(Protocol):
    """A stored message in SMTP form: CRLF, dots stuffed, no final dot."""

    @property
    def size(self) -> int: ...
    def chunks(self) -> Iterator[bytes]: ...


class HMail(Protocol):
    """One queue entry during a delivery attempt: the first argument of the outbound hooks."""

    @property
    def todo(self) -> Todo: ...
    @property
    def num_failures(self) -> int: ...
    @property
    def notes(self) -> Any: ...
    @property
    def message(self) -> MessageSource: ...


class Server(Protocol):
    """The running server as `plugin.server`: notes that all plugins share, and a way to send mail of their own."""

    @property
    def notes(self) -> Any: ...
    def send_email(self, mail_from: Address, rcpts: Sequence[Address], contents: bytes) -> Reply:
        """Queue a message (header and body with CRLF) for delivery; 250 in the reply means that it is kept."""
        ...
