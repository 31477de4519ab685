"""A message that is still in memory, so that its first delivery need not read it back from disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mta.message.stream import MessageStream


class HotMessage:
    """The bytes of one message in SMTP form; they do not change when its stream is discarded.

    holders: how many queue entries still wait to be delivered from here. whole: the message, if it is one chunk.
    sound_bytes: so many at its end are the body, and have been looked at; see MessageStream.checked.
    """

    __slots__ = ("_chunks", "holders", "size", "sound_bytes", "whole")

    def __init__(self, chunks: Iterable[bytes], sound_bytes: int = 0) -> None:
        self._chunks = tuple(chunks)
        self.sound_bytes = sound_bytes
        self.holders = 0
        self.whole = self._chunks[0] if len(self._chunks) == 1 else None
        self.size = len(self.whole) if self.whole is not None else sum(map(len, self._chunks))

    @classmethod
    def of(cls, stream: MessageStream, fits: Callable[[int], bool]) -> HotMessage | None:
        """What the stream holds; None when its body is in a file, or when so many bytes do not fit."""
        whole = stream.in_one_piece
        if whole is None and not stream.in_memory:
            return None
        if not fits(stream.size if whole is None else len(whole)):
            return None
        return cls(stream.chunks() if whole is None else (whole,), stream.body_size if stream.checked else 0)

    def chunks(self) -> Iterator[bytes]:
        """The message from its beginning; a small one is one chunk."""
        return iter(self._chunks)
