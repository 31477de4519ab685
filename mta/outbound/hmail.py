"""One mail on its way out, as the outbound hooks see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.message.dots import unstuff
from mta.message.header import Header, split_header
from mta.message.reader import as_file
from mta.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader

    from mta.logger import Logger
    from mta.outbound.qfile import QueueFileName
    from mta.outbound.spool import MessageSource
    from mta.outbound.todo import Todo

ORIGIN = "outbound"
MAX_HEADER = 1024 * 1024  # octets that are looked at for the end of the header


class HMail:
    """One queue entry during one delivery attempt.

    todo: the envelope, all of whose recipients are in todo.domain. message: the mail in SMTP form (CRLF, dots stuffed, no
    final dot), as often as wanted. num_failures: attempts so far that put it off. name: the queue file. stale: the file
    still names recipients that are done, as the disk refused to write todo.
    """

    __slots__ = ("_header", "_notes", "logger", "message", "name", "stale", "todo")

    def __init__(
        self,
        name: QueueFileName,
        todo: Todo,
        message: MessageSource,
        logger: Logger,
        *,
        stale: bool = False,
        notes: Notes | None = None,
    ) -> None:
        self.stale = stale
        self.name = name
        self.todo = todo
        self.message = message
        self.logger = logger
        self._notes = notes
        self._header: Header | None = None

    @property
    def notes(self) -> Notes:
        """Whatever plugins want to remember during this attempt; what was noted at reception is in todo.notes."""
        if self._notes is None:
            self._notes = Notes()
        return self._notes

    @property
    def num_failures(self) -> int:
        """How many attempts have put this mail off so far."""
        return self.name.attempts

    @property
    def uuid(self) -> str:
        """What log lines carry: the uuid of the transaction with the number of this entry."""
        return self.todo.uuid

    @property
    def filename(self) -> str:
        """The name of the queue file."""
        return str(self.name)

    @property
    def header(self) -> Header:
        """The header of the mail, read when it is first asked for; changes to it stay here. Raises SpoolError."""
        if self._header is None:
            self._header = Header(self._raw_header())
        return self._header

    def data_stream(self, *, stuffed: bool = False) -> BufferedReader:
        """A binary file to read the mail from: CRLF, and dots as the author wrote them or, `stuffed`, as SMTP has them.

        Reading raises SpoolError when the disk does not give it.
        """
        chunks = self.message.chunks()
        return as_file(filter(None, chunks if stuffed else unstuff(chunks)))

    def _raw_header(self) -> bytes:
        data = b""
        for chunk in self.message.chunks():
            data += chunk
            if len(data) > MAX_HEADER or split_header(data, complete=False):
                break
        found = split_header(data, complete=True)
        return found[0] if found else b""

    # -- log lines about this mail; fields become key=value

    def logdata(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level DATA."""
        self.logger.data(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def logprotocol(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level PROTOCOL."""
        self.logger.protocol(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def logdebug(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level DEBUG."""
        self.logger.debug(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def loginfo(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level INFO."""
        self.logger.info(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def lognotice(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level NOTICE."""
        self.logger.notice(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def logwarn(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level WARN."""
        self.logger.warn(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def logerror(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level ERROR."""
        self.logger.error(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def logcrit(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level CRIT."""
        self.logger.crit(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def logalert(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level ALERT."""
        self.logger.alert(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)

    def logemerg(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level EMERG."""
        self.logger.emerg(message, fields, origin=ORIGIN, uuid=self.todo.uuid, about=self)
