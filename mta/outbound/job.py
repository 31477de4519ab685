"""One attempt to make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mta.outbound.qfile import QueueFileName

if TYPE_CHECKING:
    from mta.notes import Notes
    from mta.outbound.hot import HotMessage
    from mta.outbound.sites import Site
    from mta.outbound.todo import Todo


@dataclass(slots=True, eq=False)
class Job:
    """due_ms: milliseconds since 1970. Without `hot` the entry is read from the spool; todo is what could not be saved there.

    seat: the site that counts this job already. asked: hook send_email has had its say, and left these notes.
    """

    due_ms: int
    name: QueueFileName
    todo: Todo | None = None
    hot: HotMessage | None = None
    seat: Site | None = None
    asked: bool = False
    notes: Notes | None = None

    @property
    def bare(self) -> bool:
        """True when the name says it all."""
        return self.todo is None and self.hot is None and not self.asked
