"""What one write to a segment brings: messages, and the ends of entries."""

from __future__ import annotations

from collections.abc import Sequence

from mta.outbound.journal_record import JournalMail, end_record, mail_record
from mta.outbound.journal_segment import Place, Segment


class JournalBatch:
    """Put together for the end of a segment; pure. places: where the entries of each mail stand; written: it is on disk."""

    __slots__ = ("data", "places", "segment", "written")

    def __init__(self, segment: Segment, mails: Sequence[JournalMail], ends: Sequence[str]) -> None:
        self.segment = segment
        self.written = False
        self.places: list[tuple[Sequence[tuple[str, bytes]], Place]] = []
        marker, start = segment.name.marker, segment.size
        parts: list[bytes] = []
        for mail in mails:
            head, message = mail_record(marker, mail)
            parts += (head, message)
            length = len(head) + len(message)
            self.places.append((mail.entries, Place(segment, start, length)))
            start += length
        if ends:
            parts.append(end_record(marker, ends))
        self.data = b"".join(parts)
