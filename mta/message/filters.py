"""Body filters: texts changed by plugins, and everything around them left as it came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from mta.message import transfer
from mta.message.body import BLOCK
from mta.message.dots import stuff
from mta.message.header import Header

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator, Sequence

    from mta.message.banner import Banner
    from mta.message.body import Body
    from mta.message.stream import MessageStream

# Takes Content-Type, charset and the decoded contents of a part, and gives the new contents.
Change = Callable[[str, str, bytes], bytes]

_CHARSET = re.compile(r';\s*+charset\s*+=\s*+(?:"[^"]*+"?|[^;]*+)', re.IGNORECASE)

# What was signed or encrypted is broken by whoever changes it (RFC 1847 2).
_SEALED = ("multipart/signed", "multipart/encrypted")


class BodyFilter(NamedTuple):
    """wanted: the beginning of a Content-Type in any case, or a pattern that is searched in it."""

    wanted: str | re.Pattern[str]
    change: Change

    def applies_to(self, part: Body) -> bool:
        """True when the part is one that the filter is for."""
        if isinstance(self.wanted, str):
            return part.ct.lower().startswith(self.wanted.lower())
        return self.wanted.search(part.ct) is not None


class Splice(NamedTuple):
    """These bytes in place of those from start to end, in the stored body."""

    start: int
    end: int
    replacement: bytes


def apply(
    stream: MessageStream, body: Body, filters: Sequence[BodyFilter], banner: Banner | None = None
) -> bool:
    """Run the filters over the texts of a message, put the banner below them, and store what came of it.

    Attachments are not touched, nor what is signed. body is the tree of the stream, and out of date when this returns True:
    something has changed. Raises OSError when the message is in a file and that fails, and whatever a filter raises.
    """
    data = stream.body_data()
    splices = [splice for part in _open_texts(body) if (splice := _changed(part, filters, banner, data))]
    if splices:
        stream.rewrite(_spliced(data, splices))
    return bool(splices)


def _open_texts(body: Body) -> Iterator[Body]:
    """The texts that are not sealed, in the order of the message."""
    waiting = [body]
    while waiting:
        part = waiting.pop()
        if part.is_multipart:
            waiting += () if part.content_type in _SEALED else reversed(part.children)
        elif not part.is_attachment:
            yield part


def _changed(
    part: Body, filters: Sequence[BodyFilter], banner: Banner | None, data: bytes | mmap.mmap
) -> Splice | None:
    wanted = [one for one in filters if one.applies_to(part)]
    if not wanted and banner is None:
        return None
    before = octets = part.decoded()
    for one in wanted:
        octets = one.change(part.ct, part.charset or "utf-8", octets)
    charset = ""
    if banner is not None:
        octets, charset = banner.put_into(part, octets)
    return None if octets == before else _splice(part, octets, charset, data)


def _splice(part: Body, octets: bytes, charset: str, data: bytes | mmap.mmap) -> Splice:
    lines, encoding = transfer.encode(part.encoding, octets)
    lines = stuff(_ended(lines, encoding, part, data))
    relabelled = encoding != part.encoding or bool(charset)
    if part.header_start < 0:
        if relabelled:
            _relabel(part.header, part, encoding, charset)
        if relabelled and not part.header.has("MIME-Version"):
            part.header.add("MIME-Version", "1.0")
        return Splice(part.start, part.end, lines)
    header = Header(part.header.to_bytes())
    separated = part.header_start + len(header.to_bytes()) + 2 == part.start
    if separated and not relabelled:
        return Splice(part.start, part.end, lines)
    _relabel(header, part, encoding, charset)
    return Splice(part.header_start, part.end, header.to_bytes() + b"\r\n" + lines)


def _ended(lines: bytes, encoding: str, part: Body, data: bytes | mmap.mmap) -> bytes:
    """The lines with their last line end where none follows, and in base64 without it where one does."""
    if (
        data[part.end : part.end + 2] != b"\r\n"
    ):  # the end of the message, or a delimiter that follows at once
        return lines if lines.endswith(b"\r\n") else lines + b"\r\n"
    return lines.removesuffix(b"\r\n") if encoding == "base64" else lines


def _relabel(header: Header, part: Body, encoding: str, charset: str) -> None:
    if encoding != part.encoding:
        header.remove("Content-Transfer-Encoding")
        header.add("Content-Transfer-Encoding", encoding)
    if charset:
        value = _CHARSET.sub("", part.ct)
        header.remove("Content-Type")
        header.add("Content-Type", f"{value}; charset={charset}")


def _spliced(data: bytes | mmap.mmap, splices: Sequence[Splice]) -> Iterator[bytes]:
    """The data with what replaces parts of it, in pieces."""
    position = 0
    for splice in (*splices, Splice(len(data), len(data), b"")):
        for start in range(position, splice.start, BLOCK):
            yield data[start : min(start + BLOCK, splice.start)]
        yield splice.replacement
        position = splice.end
