"""A message that is still in memory, so that its first delivery need not read it back from disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.message.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mta.message.stream import MessageStream


class HotMessage(Snapshot):
    """The bytes of one message in SMTP form; they do not change when its stream is discarded.

    holders: how many queue entries still wait to be delivered from here.
    """

    __slots__ = ("holders",)

    def __init__(self, chunks: Iterable[bytes], sound_bytes: int = 0) -> None:
        super().__init__(chunks, sound_bytes)
        self.holders = 0

    @classmethod
    def of(cls, stream: MessageStream, fits: Callable[[int], bool]) -> HotMessage | None:
        """What the stream holds; None when its body is in a file, or when so many bytes do not fit."""
        whole = stream.in_one_piece
        if whole is None and not stream.in_memory:
            return None
        if not fits(stream.size if whole is None else len(whole)):
            return None
        return cls(stream.chunks() if whole is None else (whole,), stream.body_size if stream.checked else 0)
