"""The body of a message, as the tree that MIME makes of it (RFC 2045, 2046)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mta.message import charset, encoded_words, parameters, transfer
from mta.message.dots import unstuff
from mta.message.reader import as_file

if TYPE_CHECKING:
    import io
    import mmap
    from collections.abc import Iterator

    from mta.message.header import Header
    from mta.message.parameters import ParameterField

# How much is read and decoded in one go; other work of the process gets its turn in between.
BLOCK = 128 * 1024

TEXT_PLAIN = "text/plain"


class Body:
    """The whole message, or one part of it. A part keeps its place in the stored message; contents are decoded when asked for."""

    __slots__ = (
        "_data",
        "_disposition",
        "_field",
        "_text",
        "children",
        "depth",
        "end",
        "header",
        "header_start",
        "parent_type",
        "start",
    )

    def __init__(
        self,
        header: Header,
        data: bytes | mmap.mmap,
        start: int,
        end: int,
        *,
        header_start: int = -1,
        depth: int = 0,
        parent_type: str = "",
    ) -> None:
        self.header = header
        """The fields of the part; of the whole message, those of the message itself."""
        self.children: list[Body] = []
        """The parts of a multipart."""
        self.start = start
        """Where the contents begin among the stored bytes of the body."""
        self.end = end
        """Where they end."""
        self.header_start = header_start
        """Where the header of the part begins there; -1: this is the message itself."""
        self.depth = depth
        """How many multiparts it is in."""
        self.parent_type = parent_type
        """The content type of the multipart that it is in, "" for the message itself."""
        self._data = data
        self._field: ParameterField | None = None
        self._disposition: ParameterField | None = None
        self._text: tuple[str, str] | None = None

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def ct(self) -> str:
        """Content-Type as it is written, decoded; `text/plain` when there is none (RFC 2045 5.2)."""
        return encoded_words.decode(parameters.decoded(self._content_type()))

    @property
    def content_type(self) -> str:
        """Type and subtype in lower case; text/plain for what is none."""
        value = self._type.value
        return value if value.count("/") == 1 and value[0] != "/" != value[-1] else TEXT_PLAIN

    @property
    def params(self) -> dict[str, str]:
        """The parameters of Content-Type by lower-case name, decoded (RFC 2231)."""
        return self._type.parameters

    @property
    def charset(self) -> str:
        """The charset that the part says it is in, "" when it says nothing."""
        return self.params.get("charset", "")

    @property
    def encoding(self) -> str:
        """Content-Transfer-Encoding in lower case, without comments; 7bit when there is none."""
        values = self.header.get_all("Content-Transfer-Encoding")
        return parameters.parse(values[0]).value or "7bit" if values else "7bit"

    @property
    def disposition(self) -> str:
        """`inline`, `attachment` or whatever Content-Disposition says (RFC 2183); "" when there is none."""
        return self._disposition_field.value

    @property
    def filename(self) -> str:
        """The name for the file, decoded (RFC 2231, and RFC 2047 where that is used all the same); "" when there is none."""
        name = self._disposition_field.get("filename") or self.params.get("name", "")
        return encoded_words.decode(name)

    @property
    def is_multipart(self) -> bool:
        """True for a multipart in which there are parts. One without is read as text: nothing is hidden that way."""
        return bool(self.children)

    @property
    def is_attachment(self) -> bool:
        """True unless it is a multipart, or a text or message that is shown in place."""
        kind = self.content_type.partition("/")[0]
        if kind == "multipart":
            return False
        return self.disposition == "attachment" or kind not in ("text", "message")

    # -- what is in it ------------------------------------------------------------------------------------------------

    @property
    def bodytext(self) -> str:
        """The text, decoded, with line feeds as line ends; "" for a multipart."""
        return self._decoded_text()[0]

    @property
    def body_encoding(self) -> str:
        """The charset that bodytext was read in; `broken//X` when X is none."""
        return self._decoded_text()[1]

    def chunks(self) -> Iterator[bytes]:
        """The contents, the transfer encoding undone, block by block; nothing for a multipart. May run many times."""
        return filter(None, transfer.decode(self.encoding, unstuff(self._blocks())))

    def open(self) -> io.BufferedReader:
        """The same as a binary file."""
        return as_file(self.chunks())

    def decoded(self) -> bytes:
        """The same in one piece."""
        return b"".join(self.chunks())

    def raw(self) -> bytes:
        """The contents as they came, transfer encoding and all, dots unstuffed."""
        return b"".join(unstuff(self._slices()))

    # -- what it consists of ------------------------------------------------------------------------------------------

    def walk(self) -> Iterator[Body]:
        """This part and all below it, in the order of the message."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting += reversed(part.children)

    def attachments(self) -> Iterator[Body]:
        """The attachments here and below."""
        return (part for part in self.walk() if part.is_attachment)

    def texts(self) -> Iterator[Body]:
        """The parts here and below that are shown in place: text and messages."""
        return (part for part in self.walk() if not part.is_attachment and not part.is_multipart)

    # -- how --------------------------------------------------------------------------------------------------------

    @property
    def _type(self) -> ParameterField:
        if self._field is None:
            self._field = parameters.parse(self._content_type())
        return self._field

    @property
    def _disposition_field(self) -> ParameterField:
        if self._disposition is None:
            values = self.header.get_all("Content-Disposition")
            self._disposition = parameters.parse(values[0] if values else "")
        return self._disposition

    def _content_type(self) -> str:
        values = self.header.get_all("Content-Type")
        if values:
            return parameters.unfold(values[0])
        return "message/rfc822" if self.parent_type == "multipart/digest" else TEXT_PLAIN  # RFC 2046 5.1.5

    def _decoded_text(self) -> tuple[str, str]:
        if self._text is None:
            if self.is_multipart or self.is_attachment:
                self._text = "", ""
            else:
                text, found = charset.decode(self.decoded(), self.charset)
                self._text = text.replace("\r\n", "\n"), found
        return self._text

    def _blocks(self) -> Iterator[bytes]:
        for block in self._slices():
            yield block
            time.sleep(0)

    def _slices(self) -> Iterator[bytes]:
        if self.children:
            return
        for start in range(self.start, self.end, BLOCK):
            yield self._data[start : min(start + BLOCK, self.end)]
