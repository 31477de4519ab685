"""The name of a journal segment: whose it is, when it was begun, and the marker of its records."""

from __future__ import annotations

import re
import secrets
import time
from typing import NamedTuple

from mta.outbound.journal_record import MARKER_LENGTH
from mta.outbound.share import Share

# "journal." slot "." slots "." milliseconds since 1970 "." marker, in hexadecimal
_NAME = re.compile(r"journal\.([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,15})\.([0-9a-f]{16})")


class SegmentName(NamedTuple):
    """The fields of a name; text is the name as it stands on disk."""

    slot: int
    slots: int
    began: int
    marker: bytes
    text: str

    @staticmethod
    def new(share: Share) -> SegmentName:
        """The name of a new segment of the worker with this share of the queue."""
        began, marker = int(time.time() * 1000), secrets.token_bytes(MARKER_LENGTH)
        text = f"journal.{share.slot}.{share.slots}.{began}.{marker.hex()}"
        return SegmentName(share.slot, share.slots, began, marker, text)

    @staticmethod
    def parse(text: str) -> SegmentName | None:
        """Read a name; None when it is not that of a segment."""
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        slot, slots, began, marker = match.groups()
        return SegmentName(int(slot), int(slots), int(began), bytes.fromhex(marker), text)

    def belongs_to(self, share: Share) -> bool:
        """True when it is for that worker to look after: a worker alone looks after all of them."""
        return share.slots == 1 or (self.slot, self.slots) == (share.slot, share.slots)
