"""The worker that had our slot before, and may still be finishing what it has taken."""

from __future__ import annotations

import os

from gevent.lock import BoundedSemaphore
from gevent.socket import wait_read

from mta.processes.handover import ENDED


class Predecessor:
    """fd: from Handovers.await_end, ours to close. Until the predecessor has ended, what it owns is not touched.

    That is one gate for all that belongs to a slot: the entries in the queue directory and whatever lies beside them, and
    the results for TLS reports.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._one_by_one = BoundedSemaphore()
        self.ended = False

    def wait(self) -> bool:
        """Block the greenlet until it has ended; False when that will not be known, for the master is gone, and so are we soon."""
        with self._one_by_one:
            if self._fd >= 0:
                wait_read(self._fd)
                self.ended = os.read(self._fd, 1) == ENDED
                self.close()
        return self.ended

    def close(self) -> None:
        """Wait no more."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
