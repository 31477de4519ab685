"""One mail on its way out, as the outbound hooks see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mta.logger import Logger
    from mta.outbound.qfile import QueueFileName
    from mta.outbound.spool import MessageSource
    from mta.outbound.todo import Todo


class HMail:
    """One queue entry during one delivery attempt.

    todo: the envelope, all of whose recipients are in todo.domain. message: the mail in SMTP form (CRLF, dots stuffed, no
    final dot), as often as wanted. num_failures: attempts so far that put it off. name: the queue file. stale: the file
    still names recipients that are done, as the disk refused to write todo.
    """

    __slots__ = ("_notes", "logger", "message", "name", "stale", "todo")

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

    def lognotice(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level NOTICE about this mail."""
        self.logger.notice(message, fields, origin="outbound", uuid=self.todo.uuid)

    def loginfo(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level INFO about this mail."""
        self.logger.info(message, fields, origin="outbound", uuid=self.todo.uuid)

    def logwarn(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level WARN about this mail."""
        self.logger.warn(message, fields, origin="outbound", uuid=self.todo.uuid)

    def logerror(self, message: str, fields: Mapping[str, object] | None = None) -> None:
        """Write one line at level ERROR about this mail."""
        self.logger.error(message, fields, origin="outbound", uuid=self.todo.uuid)
