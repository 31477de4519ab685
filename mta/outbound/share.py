"""Which entries of a queue belong to which of the workers that share it: it follows from the name, nobody writes it down."""

from __future__ import annotations

from zlib import crc32

from mta.record import record


@record
class Share:
    """What worker number `slot` of `slots` owns: the entries whose `uniq` falls to it.

    A retry keeps uniq, so an entry stays with its slot for life, and whoever takes the place of a dead worker owns all that
    was its own. With another number of slots everything is dealt anew.
    """

    slot: int = 0
    slots: int = 1

    def owns(self, uniq: str) -> bool:
        """True when the entry is ours."""
        return self.slots == 1 or crc32(uniq.encode("utf-8", "surrogatepass")) % self.slots == self.slot

    def part(self, number: int) -> int:
        """Our part of what all of them together may do at a time: at least 1, unless it is 0."""
        return number and max(number // self.slots, 1)


EVERYTHING = Share()
