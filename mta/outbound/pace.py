"""So many messages in such a time, evenly: the generic cell rate algorithm, which needs one number a site."""

from __future__ import annotations

from mta.config.rate import Rate

BURST_SECONDS = 1.0  # what was not used in the last second may be caught up with


class Pace:
    """Says how long the next message has to wait. Times are seconds on any clock that only goes forward."""

    __slots__ = ("_due", "_interval")

    def __init__(self, rate: Rate) -> None:
        self._interval = rate.seconds / rate.count
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a message may go; 0 when one may now."""
        # Less than a nanosecond is the noise of adding fractions.
        early = self._due - now
        return early if early > 1e-9 else 0.0

    def take(self, now: float) -> None:
        """A message goes."""
        slack = max(BURST_SECONDS - self._interval, 0.0)
        self._due = max(self._due, now - slack) + self._interval
