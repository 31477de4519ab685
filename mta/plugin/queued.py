"""What outbound hooks see: one mail waiting in the queue, and the server that runs the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mta.smtp.address import Address
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


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


class Http(Protocol):
    """The server of http.ini, for hook init_http."""

    def route(self, path: str, app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        """Give `path`, and all below it, to a WSGI application (PEP 3333); the longest route decides.

        Raises ValueError for a path that does not begin with a slash, or is taken.
        """
        ...


class Server(Protocol):
    """The running server as `plugin.server`: notes that all plugins share, and a way to send mail of their own."""

    @property
    def notes(self) -> Any: ...
    @property
    def http(self) -> Http: ...
    def send_email(self, mail_from: Address, rcpts: Sequence[Address], contents: bytes) -> Reply:
        """Queue a message (header and body with CRLF) for delivery; 250 in the reply means that it is kept."""
        ...
