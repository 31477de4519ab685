"""Count what each of many may do so often in such a time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable

from mta.config.rate import Rate, parse_rate

MAX_KEYS = 100_000


class RateLimit:
    """No more than a rate, such as `100/1h`, for each key: a user, an address, a network.

    The time slides: what came in the hour before counts less and less as this hour goes on. It costs two numbers for each key,
    which are forgotten when they count no more, and those of the keys that were seen longest ago when there are more than
    `max_keys`. Each worker counts for itself. Raises ValueError for a text that is no rate, or an empty one.
    """

    def __init__(self, rate: Rate | str, max_keys: int = MAX_KEYS) -> None:
        read = parse_rate(rate) if isinstance(rate, str) else rate
        if read is None:
            raise ValueError("a rate such as 100/1h is needed")
        self.rate = read
        """What is allowed."""
        self._max_keys = max_keys
        self._counts: OrderedDict[Hashable, tuple[int, float, float]] = (
            OrderedDict()
        )  # period, this one, the one before

    def take(self, key: Hashable, amount: int = 1) -> bool:
        """Count `amount` more for the key; False, and nothing is counted, when that would be too much."""
        period, elapsed = divmod(time.monotonic(), self.rate.seconds)
        now, before = self._in_period(key, int(period))
        fits = before * (1 - elapsed / self.rate.seconds) + now + amount <= self.rate.count
        self._counts[key] = int(period), now + amount if fits else now, before
        self._counts.move_to_end(key)
        self._forget(int(period))
        return fits

    def _forget(self, period: int) -> None:
        """Drop the oldest if it counts no more or is one too many; two at a time are more than there come."""
        for _ in range(2):
            oldest = next(iter(self._counts))
            if len(self._counts) <= self._max_keys and self._counts[oldest][0] >= period - 1:
                return
            del self._counts[oldest]

    def _in_period(self, key: Hashable, period: int) -> tuple[float, float]:
        """What was counted for the key in this period, and in the one before."""
        last, count, before = self._counts.get(key, (period, 0, 0))
        if last == period:
            return count, before
        return 0, count if last == period - 1 else 0
