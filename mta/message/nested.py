"""Messages that are attached to a message, taken apart as well (RFC 2046 5.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.message.mime import TooManyParts, parse
from mta.message.stream import MessageStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.message.body import Body

MESSAGES = ("message/rfc822", "message/global")
MAX_NESTED = 10  # messages in each other; every one is decoded anew


def walk_nested(tree: Body, max_parts: int) -> Iterator[Body]:
    """All parts of a message, and behind each attached message the parts of that, itself first. Raises TooManyParts.

    max_parts: how many parts there may be in all.
    """
    waiting = [(tree, 0)]
    seen = 0
    while waiting:
        part, level = waiting.pop()
        seen += 1
        if seen > max_parts + 1 or level > MAX_NESTED:
            raise TooManyParts(f"more than {max_parts} MIME parts, or {MAX_NESTED} messages in each other")
        yield part
        waiting += [(child, level) for child in reversed(part.children)]
        if part.content_type in MESSAGES:
            waiting.append((_message_in(part, max_parts), level + 1))


def _message_in(part: Body, max_parts: int) -> Body:
    """The tree of the message in a part, whatever line ends it has in a transfer encoding that it should not have."""
    octets = part.decoded().replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    stream = MessageStream.from_message(octets)
    return parse(stream.header, stream.body_data(), max_parts)
