"""A whole message in SMTP form, header first: in memory while it is small, its body in a file when it is large."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, TypedDict, Unpack

from mta.message.body_file import BodyFile
from mta.message.dots import stuff, unstuff, with_line_ends
from mta.message.header import Header, split_header
from mta.message.reader import as_file

if TYPE_CHECKING:
    import io
    import mmap
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

# A message up to this size is handed out as one chunk; larger ones in about this size from memory.
BLOCK = 64 * 1024

# So many pieces may wait; they are joined if they are smaller than this on average: a client may send byte by byte.
MAX_PIECES = 256
SMALL = 4096


class Form(TypedDict, total=False):
    """How a message is read: what is not given is as it stands here."""

    header: bool  # True: with the header and the empty line at its end
    line_end: bytes  # b"\\r\\n"
    stuffed: bool  # False: a dot at the beginning of a line is one dot, as in the message that was written
    final_dot: bool  # False; True: the line with the dot that ends DATA, which needs stuffed=True


class MessageStream:
    """One message: header, and a body that is appended as it arrives.

    spool_after: -1 keeps any body in memory, N moves a body of more than N bytes to the file spool_dir/name.eml. Bytes are
    in SMTP form throughout (CRLF, dots stuffed, no final dot) unless a method says otherwise.

    keep: False lets go of whatever is appended; the header stays.
    """

    __slots__ = (
        "_checked",
        "_file",
        "_limit",
        "_path",
        "_pieces",
        "_sealed",
        "body_size",
        "header",
        "keep",
        "separator",
    )

    def __init__(self, spool_dir: str = "/tmp", spool_after: int = -1, name: str = "") -> None:
        self.header = Header()
        self.separator = False  # an empty line ends the header even if there is no body
        self.body_size = 0
        self.keep = True
        self._checked = True  # there is nothing yet that was not looked at
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
        self._checked = False
        self._add(chunk)

    def _add(self, chunk: bytes) -> None:
        if not self.keep:
            self._checked = False  # what comes next would follow on something else
            return
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
    def checked(self) -> bool:
        """True when the body came from a client by DATA, and is as it came: without bare CR or LF, and without CRLF.CRLF."""
        # Who passes it on need not search it for these. Whatever else touches the body ends it for good.
        return self._checked

    def takes(self, size: int) -> bool:
        """True when a body of so many bytes stays in memory, where appending can not fail."""
        return self._file is None and size <= self._limit

    @property
    def in_memory(self) -> bool:
        """False when the body is in a file."""
        return self._file is None

    @property
    def size(self) -> int:
        """How many bytes chunks() gives."""
        return len(self._head()) + self.body_size

    @property
    def in_one_piece(self) -> bytes | None:
        """The message when it is small and in memory, so that chunks() would give it as one; else None."""
        if self._file is not None or self.body_size > BLOCK:
            return None
        head = self._head()
        return b"".join((head, *self._pieces)) if len(head) + self.body_size <= BLOCK else None

    def chunks(self) -> Iterator[bytes]:
        """Header, empty line and body; a small message is one chunk. May run many times, also side by side."""
        whole = self.in_one_piece
        if whole is not None:
            yield whole
        elif self._file is not None:
            yield self._head()
            yield from self._file.chunks()
        else:
            yield from _grouped((self._head(), *self._pieces))

    def body_chunks(self) -> Iterator[bytes]:
        """The body alone, as chunks() gives it."""
        return _grouped(tuple(self._pieces)) if self._file is None else self._file.chunks()

    def body_data(self) -> bytes | mmap.mmap:
        """The body alone in one piece: the one in memory is joined for good, the one in a file is mapped. Raises OSError."""
        if self._file is not None and self.body_size:
            return self._file.mapped()
        self._pieces = [b"".join(self._pieces)]
        self._sealed = 1
        return self._pieces[0]

    def rewrite(self, chunks: Iterable[bytes]) -> None:
        """Put another body in place of this one; the chunks may be cut from body_data(). Raises OSError, as append does."""
        old = self._file
        directory, name = self._path
        self._path = directory, name and f"{name}.new".removesuffix(".new.new")  # the old file is still there
        self._checked = False
        self._file, self._pieces, self._sealed, self.body_size = None, [], 0, 0
        try:
            for chunk in chunks:
                self.append(chunk)
        finally:
            if old is not None:
                old.remove()

    def read(self, **form: Unpack[Form]) -> Iterator[bytes]:
        """The message in chunks, in the form that the reader needs; see Form. May run many times, also side by side."""
        chunks = self.chunks() if form.get("header", True) else self.body_chunks()
        if not form.get("stuffed", False):
            chunks = unstuff(chunks)
        line_end = form.get("line_end", b"\r\n")
        if line_end != b"\r\n":
            chunks = with_line_ends(chunks, line_end)
        yield from chunks
        if form.get("final_dot", False):
            yield b"." + line_end

    def lines(self, **form: Unpack[Form]) -> Iterator[bytes]:
        """The lines of the message with their line ends; see Form."""
        rest: list[bytes] = []
        for chunk in self.read(**form):
            if b"\n" not in chunk:
                rest.append(chunk)
                continue
            *lines, last = b"".join((*rest, chunk)).split(b"\n")
            rest = [last]
            for line in lines:
                yield line + b"\n"
        if any(rest):
            yield b"".join(rest)

    def open(self, **form: Unpack[Form]) -> io.BufferedReader:
        """A binary file to read the message from; see Form. Close it, or let it go."""
        return as_file(filter(None, self.read(**form)))

    def get_data(self, **form: Unpack[Form]) -> bytes:
        """The message in one piece; see Form."""
        return b"".join(self.read(**form))

    def pipe(self, target: BinaryIO, **form: Unpack[Form]) -> int:
        """Write the message to a binary file, such as socket.makefile("wb") gives; see Form. Returns how many bytes."""
        size = 0
        for chunk in self.read(**form):
            target.write(chunk)
            size += len(chunk)
        return size

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


def append_checked(stream: MessageStream, chunk: bytes) -> None:
    """As stream.append, for who takes messages in and has looked at all of this and at how it follows what came before.

    See MessageStream.checked. No method, since no plugin should say this of anything.
    """
    stream._add(chunk)


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
