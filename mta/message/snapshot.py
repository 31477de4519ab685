"""A message as it is at one moment, which nobody changes any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mta.message.stream import MessageStream


class Snapshot:
    """The bytes of one message in SMTP form, whatever becomes of its stream.

    whole: the message, if it is one chunk. sound_bytes: so many at its end are the body, and have been looked at; see
    MessageStream.checked.
    """

    __slots__ = ("_chunks", "size", "sound_bytes", "whole")

    def __init__(self, chunks: Iterable[bytes], sound_bytes: int = 0) -> None:
        self._chunks = tuple(chunks)
        self.sound_bytes = sound_bytes
        self.whole = self._chunks[0] if len(self._chunks) == 1 else None
        self.size = len(self.whole) if self.whole is not None else sum(map(len, self._chunks))

    @classmethod
    def of_small(cls, stream: MessageStream) -> Snapshot | None:
        """What the stream holds, in one piece; None when it is too large to have a second copy of it in memory."""
        whole = stream.in_one_piece
        return None if whole is None else cls((whole,), stream.body_size if stream.checked else 0)

    def chunks(self) -> Iterator[bytes]:
        """The message from its beginning; a small one is one chunk."""
        return iter(self._chunks)
