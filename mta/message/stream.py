"""A whole message in SMTP form, header first: in memory while it is small, its body in a file when it is large."""

from __future__ import annotations

import io
import os
import secrets
from typing import TYPE_CHECKING

from mta.message.body_file import BodyFile
from mta.message.dots import stuff, unstuff
from mta.message.header import Header, split_header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

# A message up to this size is handed out as one chunk; larger ones in about this size from memory.
BLOCK = 64 * 1024

# So many pieces may wait; they are joined if they are smaller than this on average: a client may send byte by byte.
MAX_PIECES = 256
SMALL = 4096


class MessageStream:
    """One message: header, and a body that is appended as it arrives.

    spool_after: -1 keeps any body in memory, N moves a body of more than N bytes to the file spool_dir/name.eml. Bytes are
    in SMTP form throughout (CRLF, dots stuffed, no final dot) unless a method says otherwise.
    """

    __slots__ = ("_file", "_limit", "_path", "_pieces", "_sealed", "body_size", "header", "separator")

    def __init__(self, spool_dir: str = "/tmp", spool_after: int = -1, name: str = "") -> None:
        self.header = Header()
        self.separator = False  # an empty line ends the header even if there is no body
        self.body_size = 0
        self._limit = spool_after if spool_after >= 0 else 1 << 62
        self._path = (spool_dir, name)
        self._pieces: list[bytes] = []
        self._sealed = 0  # so many pieces from the start need no joining any more
        self._file: BodyFile | None = None

    @classmethod
    def from_message(cls, message: bytes) -> MessageStream:
        """Make a stream of a complete message as it is: lines with CRLF, dots not stuffed."""
        stream = cls()
        data = stuff(message if message.endswith(b"\r\n") or not message else message + b"\r\n")
        raw, separator, start = split_header(data, complete=True) or (b"", b"", 0)
        stream.header = Header(raw)
        stream.separator = bool(separator)
        if start < len(data):
            stream.append(data[start:])
        return stream

    def append(self, chunk: bytes) -> None:
        """Add bytes to the body. Raises OSError when the body goes to a file and that fails: give the message up then."""
        self.body_size += len(chunk)
        if self._file is not None:
            self._file.write(chunk)
            return
        self._pieces.append(chunk)
        if self.body_size > self._limit:
            self._move_to_file()
        elif len(self._pieces) - self._sealed >= MAX_PIECES:
            self._join_pieces()

    @property
    def in_memory(self) -> bool:
        """False when the body is in a file."""
        return self._file is None

    @property
    def size(self) -> int:
        """How many bytes chunks() gives."""
        return len(self._head()) + self.body_size

    def chunks(self) -> Iterator[bytes]:
        """Header, empty line and body; a small message is one chunk. May run many times, also side by side."""
        head = self._head()
        if self._file is not None:
            yield head
            yield from self._file.chunks()
        elif len(head) + self.body_size <= BLOCK:
            yield b"".join((head, *self._pieces))
        else:
            yield from _grouped((head, *self._pieces))

    def body_chunks(self) -> Iterator[bytes]:
        """The body alone, as chunks() gives it."""
        return _grouped(tuple(self._pieces)) if self._file is None else self._file.chunks()

    def lines(self) -> Iterator[bytes]:
        """The lines of the whole message with their CRLF, dots unstuffed."""
        rest = b""
        for chunk in unstuff(self.chunks()):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest

    def open(self) -> io.BufferedReader:
        """A binary file to read the message from, dots unstuffed. Close it, or let it go."""
        return io.BufferedReader(_ChunkReader(unstuff(self.chunks())), BLOCK)

    def discard(self) -> None:
        """Remove the file of the body, if there is one; a body in memory stays. May be called again."""
        if self._file is not None:
            self._file.remove()

    def _head(self) -> bytes:
        raw = self.header.to_bytes()
        return raw + b"\r\n" if self.separator or self.body_size else raw

    def _join_pieces(self) -> None:
        """Join what came in small pieces, so that a slow client costs no more memory than a fast one."""
        waiting = self._pieces[self._sealed :]
        if sum(map(len, waiting)) < MAX_PIECES * SMALL:
            self._pieces[self._sealed :] = waiting = [b"".join(waiting)]
            if len(waiting[0]) < SMALL:
                return
        self._sealed = len(self._pieces)

    def _move_to_file(self) -> None:
        directory, name = self._path
        self._file = BodyFile(os.path.join(directory, f"{name or secrets.token_hex(8)}.eml"))
        for piece in self._pieces:
            self._file.write(piece)
        self._pieces = []


class _ChunkReader(io.RawIOBase):
    """Chunks behind the interface of a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer)
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _grouped(pieces: tuple[bytes, ...]) -> Iterator[bytes]:
    """The pieces, with runs of small ones joined to about one block each, and without empty ones."""
    run: list[bytes] = []
    size = 0
    for piece in pieces:
        run.append(piece)
        size += len(piece)
        if size >= BLOCK // 2:
            yield run[0] if len(run) == 1 else b"".join(run)
            run, size = [], 0
    if size:
        yield b"".join(run)
