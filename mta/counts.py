"""How many were accepted, deferred and rejected: recipients or messages."""

from __future__ import annotations


class Counts:
    """Three counters; `str()` is `accepted/deferred/rejected`, as log lines show them."""

    __slots__ = ("accept", "reject", "tempfail")

    def __init__(self) -> None:
        self.accept = 0
        """How many were accepted."""
        self.tempfail = 0
        """How many were refused for now."""
        self.reject = 0
        """How many were refused for good."""

    def count(self, code: int) -> None:
        """Add one to the column that the reply code (250, 450, 550 ...) belongs to."""
        if code < 400:
            self.accept += 1
        elif code < 500:
            self.tempfail += 1
        else:
            self.reject += 1

    def __str__(self) -> str:
        return f"{self.accept}/{self.tempfail}/{self.reject}"
