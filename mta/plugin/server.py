"""The running server as plugins know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict, Unpack

from mta.notes import Notes
from mta.plugin.outbound_queue import NoOutboundQueue, OutboundQueue
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from mta.message.stream import MessageStream
    from mta.smtp.address import Address
    from mta.transaction import Transaction


class TextFile(Protocol):
    """A file that was opened to read text or bytes."""

    def read(self, size: int, /) -> str | bytes: ...


class Letter(Protocol):
    """An email.message.EmailMessage."""

    def as_bytes(self) -> bytes: ...


Recipients: TypeAlias = "Address | str | Iterable[Address | str]"
Contents: TypeAlias = (
    "str | bytes | bytearray | memoryview | Letter | MessageStream | TextFile | Iterable[str | bytes]"
)


class MailOptions(TypedDict, total=False):
    """What may be said about a mail of our own besides its envelope and contents; see Server.send_email."""

    notes: Mapping[str, Any] | None
    remove_msgid: bool
    remove_date: bool
    dot_stuffed: bool
    origin: object


class Queue(Protocol):
    """What takes mail to be sent."""

    def send(
        self,
        mail_from: Address | str,
        rcpts: Recipients,
        contents: Contents,
        **options: Unpack[MailOptions],
    ) -> Reply: ...
    def submit(self, transaction: Transaction) -> Reply: ...


class Http(Protocol):
    """The server of http.ini, for hook init_http."""

    def route(self, path: str, app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        """Give `path`, and all below it, to a WSGI application (PEP 3333); the longest route decides.

        Raises ValueError for a path that does not begin with a slash, or is taken.
        """
        ...


class NoHttp:
    """Takes routes to pages that nobody will see: of a server that does not serve HTTP, or does not serve at all."""

    def route(self, path: str, app: object) -> None:
        """Take a route."""


NO_QUEUE = Reply(451, "this server is not ready to take mail", "4.3.2")


class Server:
    """The server that runs a plugin, as `self.server`: notes that all plugins share, and a way to send mail of their own."""

    def __init__(self) -> None:
        self.notes = Notes()
        """Whatever plugins want to tell each other; each worker has its own."""
        self.public_ip = ""
        """The address that the Internet knows this server by, "" when the operator did not say."""
        self.http: Http = NoHttp()
        """Where plugins add their pages, at hook init_http."""
        self.outbound: OutboundQueue = NoOutboundQueue()
        """The queue of the whole server, to look at and to steer."""
        self.keep_passwords = False
        """Set it in register() if you need the password of a client that has logged in: `connection.notes.auth_passwd` is a
        Secret with it then, unless the mechanism did not tell it to the server. Without that no password is kept."""
        self._queue: Queue | None = None
        self._figures: Callable[[], Mapping[str, int]] = dict
        self._sums: Callable[[], Mapping[str, int]] = dict
        self._reopen: list[Callable[[], object]] = []

    @property
    def figures(self) -> Mapping[str, int]:
        """How this process is at the moment, and what it has counted since its start; docs/Workers.md names the figures.

        Empty until hook init_master or init_child.
        """
        return self._figures()

    @property
    def sums(self) -> Mapping[str, int]:
        """The same figures of all workers together, with what those have counted that have ended; of others up to 1 s old."""
        return self._sums()

    def on_figures(
        self, figures: Callable[[], Mapping[str, int]], sums: Callable[[], Mapping[str, int]]
    ) -> None:
        """Tell the server who knows its figures; the worker does this."""
        self._figures, self._sums = figures, sums

    def on_reopen(self, reopen: Callable[[], object]) -> None:
        """Have a function called at SIGUSR1 and SIGHUP: open log files, and connections that log, anew."""
        self._reopen.append(reopen)

    def reopen(self) -> list[Exception]:
        """Call what on_reopen was given, all of it; the worker does this. Returns what went wrong."""
        failed: list[Exception] = []
        for reopen in self._reopen:
            try:
                reopen()
            except Exception as error:
                failed.append(error)
        return failed

    def on_mail(self, queue: Queue) -> None:
        """Tell the server where mail goes; the worker does this once plugins are loaded. Before, mail is put off with 451."""
        self._queue = queue

    def send_email(
        self,
        mail_from: Address | str,
        rcpts: Recipients,
        contents: Contents,
        *,
        notes: Mapping[str, Any] | None = None,
        remove_msgid: bool = False,
        remove_date: bool = False,
        dot_stuffed: bool = False,
        origin: object = None,
    ) -> Reply:
        """Queue a mail of our own; 250 in the reply means that it is kept, and its text names the mail's uuid.

        mail_from: "" or NULL for a mail that nobody shall answer. contents: header, empty line, body with any line ends,
        text as UTF-8. notes: what transaction.notes and later hmail.todo.notes say. remove_msgid, remove_date: put fields of
        our own in place of these. dot_stuffed: the contents are in SMTP form already. origin: the connection,
        transaction, hmail or name that the log shall show as the reason.

        4xx: try again later. 5xx: the input is at fault, and the text says how. Bad input raises nothing.
        """
        if self._queue is None:
            return NO_QUEUE
        return self._queue.send(
            mail_from,
            rcpts,
            contents,
            notes=notes,
            remove_msgid=remove_msgid,
            remove_date=remove_date,
            dot_stuffed=dot_stuffed,
            origin=origin,
        )

    def send_trans_email(self, transaction: Transaction) -> Reply:
        """Queue a transaction that is complete, as it is done with the mail of a client that may relay; answers as send_email."""
        return NO_QUEUE if self._queue is None else self._queue.submit(transaction)
