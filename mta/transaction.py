"""One mail transaction: from MAIL to the reply after the final dot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mta.counts import Counts
from mta.message import filters, mime
from mta.message.banner import Banner
from mta.message.dots import stuff
from mta.message.nested import walk_nested
from mta.message.stream import MessageStream
from mta.notes import Notes
from mta.results import Results

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator

    from mta.message.body import Body
    from mta.message.header import Header
    from mta.smtp.address import Address


class Transaction:
    """Envelope and message of one mail, and what plugins noted about it."""

    __slots__ = (
        "__weakref__",
        "_body",
        "_requests",
        "_results",
        "hold_until",
        "mail_from",
        "max_mime_parts",
        "message_stream",
        "notes",
        "params",
        "parse_body",
        "rcpt_count",
        "rcpt_params",
        "rcpt_to",
        "relaying",
        "start_time",
        "too_many_parts",
        "uuid",
    )

    def __init__(self, uuid: str, mail_from: Address, message_stream: MessageStream) -> None:
        self.uuid = uuid
        """Names the mail in the log and in the queue: the session's, with `.1` for its first mail."""
        self.mail_from = mail_from
        """The sender of the envelope; `mail_from.is_null` for a bounce."""
        self.rcpt_to: list[Address] = []
        """The recipients that were accepted; plugins may change the list."""
        self.rcpt_count = Counts()
        """How many recipients there were: `accept`, `tempfail` and `reject`."""
        self.params: dict[str, str | None] = {}
        """The parameters of MAIL, keys in upper case."""
        self.rcpt_params: dict[Address, dict[str, str | None]] = {}
        """The parameters of RCPT, for recipients that had some."""
        self.hold_until: float | None = None
        """The queue keeps the mail until then, in seconds since 1970 (RFC 4865); None: it may leave at once."""
        self.message_stream = message_stream
        """The message as it is stored."""
        self.notes = Notes(skip_plugins=[])
        """Whatever plugins want to remember about this mail."""
        self.relaying: bool | None = None
        """Whether this mail may go anywhere; None: what the connection may."""
        self.start_time = time.time()
        """When MAIL came, in seconds since 1970."""
        self.parse_body = False
        """Set it in hook data to have the MIME parts counted even if no plugin looks at them."""
        self.max_mime_parts = mime.MAX_PARTS
        """A message with more parts is refused once somebody looks at its body."""
        self.too_many_parts = False
        """True when it has more."""
        self._body: tuple[tuple[Header, int], Body] | None = None  # with what it was made of
        self._requests: _Requests | None = None
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

    @property
    def body(self) -> Body:
        """The message as a tree of MIME parts, made when it is first asked for; before DATA it is empty.

        Raises TooManyParts, which a plugin lets through: the client is told. Raises OSError for a message in a file.
        """
        stream = self.message_stream
        made_of = stream.header, stream.body_size
        if self._body is None or self._body[0] != made_of:
            try:
                tree = mime.parse(stream.header, stream.body_data(), self.max_mime_parts)
            except mime.TooManyParts:
                self.too_many_parts = True
                raise
            self._body = made_of, tree
        return self._body[1]

    @property
    def mime_part_count(self) -> int:
        """How many MIME parts the message has, multiparts included, itself not. Raises as body does."""
        return sum(1 for _ in self.body.walk()) - 1

    def attachments(self, *, nested: bool = False) -> Iterator[Body]:
        """The attachments: content_type, filename, open() and chunks() of each; nested: those of attached messages too. Raises as body does."""
        if not nested:
            return self.body.attachments()
        return (part for part in walk_nested(self.body, self.max_mime_parts) if part.is_attachment)

    @property
    def discard_data(self) -> bool:
        """Set it in hook data, and the body is read and accepted, but not kept; the header is."""
        return not self.message_stream.keep

    @discard_data.setter
    def discard_data(self, discard: bool) -> None:
        self.message_stream.keep = not discard

    def add_data(self, data: bytes) -> None:
        """Add whole lines to the end of the body, each with CRLF; dots as they are. Raises OSError, ValueError."""
        if not data.endswith(b"\r\n") or not data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r"):
            raise ValueError("not whole lines with CRLF")
        self.message_stream.append(stuff(data))

    # -- for when the message is there --------------------------------------------------------------------------------

    def attachment_hooks(self, start: Callable[[Body], None]) -> None:
        """In hook data: have a function called with each attachment, after DATA and before hook data_post."""
        self._asked().watchers.append(start)

    def add_body_filter(self, content_type: str | re.Pattern[str], change: filters.Change) -> None:
        """Until data_post is over: let change(content_type, charset, octets) give the new contents of texts.

        content_type: how the Content-Type begins, in any case, or a pattern to search in it. Attachments and what is signed
        stay as they are. The contents come and go without their transfer encoding.
        """
        self._asked().filters.append(filters.BodyFilter(content_type, change))

    def set_banner(self, text: str, html: str | None = None) -> None:
        """Until data_post is over: put a text below each text/plain, and html, a fragment, below each text/html.

        Without html the text is used there too. Attachments and what is signed stay as they are.
        """
        self._asked().banner = Banner.of(text, html)

    @property
    def wants_body(self) -> bool:
        """True when somebody asked for something that needs the body."""
        return self.parse_body or self._requests is not None

    def look_into_body(self) -> None:
        """Do what was asked for: parse, show attachments, change texts. Afterwards nothing is asked for any more.

        Raises TooManyParts, OSError when the message is in a file, and what the functions of plugins raise.
        """
        body, requests = self.body, self._requests
        self.parse_body, self._requests = False, None
        if requests is None:
            return
        for watcher in requests.watchers:
            for part in body.attachments():
                watcher(part)
        if filters.apply(self.message_stream, body, requests.filters, requests.banner):
            self._body = None

    def _asked(self) -> _Requests:
        if self._requests is None:
            self._requests = _Requests()
        return self._requests

    # -- the header ---------------------------------------------------------------------------------------------------

    def add_header(self, name: str, value: str) -> None:
        """Append a header field. Raises ValueError for a name that RFC 5322 2.2 forbids."""
        self.header.add(name, value)

    def add_leading_header(self, name: str, value: str) -> None:
        """Put a header field before all others, as trace fields must be."""
        self.header.add_leading(name, value)

    def remove_header(self, name: str) -> None:
        """Remove every field of that name."""
        self.header.remove(name)


class _Requests:
    """What plugins want done with the body."""

    __slots__ = ("banner", "filters", "watchers")

    def __init__(self) -> None:
        self.watchers: list[Callable[[Body], None]] = []
        self.filters: list[filters.BodyFilter] = []
        self.banner: Banner | None = None
