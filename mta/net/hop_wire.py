"""The wire to a next hop, which lies idle between two messages."""

from __future__ import annotations

from mta.net.wire import Wire


class HopWire(Wire):
    """As Wire."""

    __slots__ = ()

    @property
    def quiet(self) -> bool:
        """True when the peer has said nothing since its last reply, and has not closed, as far as we know; never blocks."""
        # The watcher goes on when nobody waits, and ends with the first byte, or the end, that comes then. So most of the
        # time the kernel need not be asked: a system call and an exception, 1 % of a relay of 1 KB.
        return not self.pending if self._watching else not self.peek()
