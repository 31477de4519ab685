"""A text that gets into no log line and no file by accident."""

from __future__ import annotations


class Secret:
    """`reveal()` gives the text; str() and repr() show stars, and JSON does not know what to do with it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text."""
        return self._text

    def __repr__(self) -> str:
        return "***"
