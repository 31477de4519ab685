"""What outbound hooks see: one mail waiting in the queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from typing import Any, Protocol, TypeAlias

from mta.message.header import Header
from mta.smtp.address import Address

Fields: TypeAlias = "Mapping[str, object] | None"


class Todo(Protocol):
    """The envelope of one queue entry: all its recipients are in `domain`."""

    @property
    def uuid(self) -> str:
        """The uuid of the mail that came in, with a number for this entry."""
        ...

    @property
    def domain(self) -> str:
        """Where its recipients are."""
        ...

    @property
    def mail_from(self) -> Address:
        """The sender of the envelope."""
        ...

    @property
    def rcpt_to(self) -> Sequence[Address]:
        """The recipients that are neither delivered nor failed yet."""
        ...

    @property
    def notes(self) -> Mapping[str, Any]:
        """What transaction.notes said when it was queued."""
        ...

    @property
    def queue_time(self) -> int:
        """When it was queued, in milliseconds since 1970."""
        ...

    @property
    def mail_params(self) -> Mapping[str, str | None]:
        """The parameters of MAIL, keys in upper case."""
        ...

    def rcpt_params(self, rcpt: Address, /) -> Mapping[str, str | None]:
        """The parameters of RCPT for this recipient."""
        ...


class MessageSource(Protocol):
    """A stored message in SMTP form: CRLF, dots stuffed, no final dot."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """The message, piece by piece."""
        ...


class HMail(Protocol):
    """One queue entry during a delivery attempt: the first argument of the outbound hooks. See docs/HMail.md."""

    @property
    def todo(self) -> Todo:
        """Its envelope."""
        ...

    @property
    def notes(self) -> Any:
        """Whatever plugins want to remember for the length of this attempt."""
        ...

    @property
    def num_failures(self) -> int:
        """How many attempts have put it off."""
        ...

    @property
    def filename(self) -> str:
        """The name of its file in the queue directory."""
        ...

    @property
    def uuid(self) -> str:
        """As todo.uuid."""
        ...

    @property
    def message(self) -> MessageSource:
        """The message as it is stored."""
        ...

    @property
    def header(self) -> Header:
        """The header of the message; changes are not stored."""
        ...

    def data_stream(self, *, stuffed: bool = False) -> BufferedReader:
        """The message as a binary file; stuffed: in SMTP form."""
        ...

    def logdata(self, message: str, fields: Fields = None) -> None:
        """Write a line at level DATA."""
        ...

    def logprotocol(self, message: str, fields: Fields = None) -> None:
        """Write a line at level PROTOCOL."""
        ...

    def logdebug(self, message: str, fields: Fields = None) -> None:
        """Write a line at level DEBUG."""
        ...

    def loginfo(self, message: str, fields: Fields = None) -> None:
        """Write a line at level INFO."""
        ...

    def lognotice(self, message: str, fields: Fields = None) -> None:
        """Write a line at level NOTICE."""
        ...

    def logwarn(self, message: str, fields: Fields = None) -> None:
        """Write a line at level WARN."""
        ...

    def logerror(self, message: str, fields: Fields = None) -> None:
        """Write a line at level ERROR."""
        ...

    def logcrit(self, message: str, fields: Fields = None) -> None:
        """Write a line at level CRIT."""
        ...

    def logalert(self, message: str, fields: Fields = None) -> None:
        """Write a line at level ALERT."""
        ...

    def logemerg(self, message: str, fields: Fields = None) -> None:
        """Write a line at level EMERG."""
        ...
