"""How many deliveries to one site may be under way at once, learnt from how they fare, as Postfix's queue manager does.

Each success counts 1/N, N being the window: after about one round, the deliveries that run side by side, it is one wider.
The first failure after that makes it one narrower again, and so does each further round of failures. So a server that
takes only so many connections turns away about one in N. A window of which much is unused neither proves anything nor grows.
"""

from __future__ import annotations

NOISE = 1e-9  # what adding up fractions may be off: the third of three thirds shall make a whole


class Window:
    """initial: where it begins; limit: the most it may become; patience: rounds of nothing but failures until it closes.

    size: how many may be under way. Call succeeded() and failed() for each delivery.
    """

    __slots__ = ("_failed_rounds", "_failure", "_initial", "_limit", "_patience", "_success", "size")

    def __init__(self, initial: int, limit: int, patience: int) -> None:
        self._initial = min(initial, limit)
        self._limit = limit
        self._patience = patience
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.size = self._initial
        self._failed_rounds = self._success = self._failure = 0.0

    def configure(self, initial: int, limit: int, patience: int) -> None:
        """Take over other bounds; what was learnt stays as far as they allow it, but that a window is narrow is forgotten."""
        self._initial = min(initial, limit)
        self._limit = limit
        self._patience = patience
        self.size = min(max(self.size, self._initial), limit)

    def succeeded(self, under_way: int) -> None:
        """A delivery got through to the site; under_way: how many were, itself included."""
        self._failed_rounds = 0.0
        if self.size >= self._limit or self.size >= under_way + self._initial:
            return
        self._success += 1 / self.size
        if self._success >= 1 - NOISE:
            self._success = self._failure = 0.0
            self.size += 1

    def failed(self) -> bool:
        """A delivery found nobody there. True when the site has failed so often that it should be left alone for a while.

        Then everything learnt is forgotten.
        """
        self._failed_rounds += 1 / self.size
        if self._patience and self._failed_rounds >= self._patience - NOISE:
            self._begin_anew()
            return True
        self._failure -= 1 / self.size
        if self._failure < -NOISE:
            self._failure += 1
            self._success = 0.0
            self.size = max(self.size - 1, 1)
        return False
