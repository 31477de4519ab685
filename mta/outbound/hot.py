"""A message that is still in memory, so that its first delivery need not read it back from disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mta.message.stream import MessageStream


class HotMessage:
    """The bytes of one message in SMTP form; they do not change when its stream is discarded.

    holders: how many queue entries still wait to be delivered from here. whole: the message, if it is one chunk.
    """

    __slots__ = ("_chunks", "holders", "size", "whole")

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = tuple(chunks)
        self.holders = 0
        self.whole = self._chunks[0] if len(self._chunks) == 1 else None
        self.size = len(self.whole) if self.whole is not None else sum(map(len, self._chunks))

    @classmethod
    def of(cls, stream: MessageStream) -> HotMessage | None:
        """What the stream holds; None when its body is in a file."""
        return cls(stream.chunks()) if stream.in_memory else None

    def chunks(self) -> Iterator[bytes]:
        """The message from its beginning; a small one is one chunk."""
        return iter(self._chunks)
