"""What every byte that a server sends must obey, whatever it was asked (RFC 5321 4.2, RFC 2034 4)."""

from __future__ import annotations

import re

MAX_OCTETS = 512  # RFC 5321 4.5.3.1.5, with the code and CRLF

# Reply-line = Reply-code [ ( "-" / SP ) textstring ] CRLF; nothing that moves a cursor or ends a line inside.
_LINE = re.compile(rb"([2-5][0-5][0-9])([ -])([^\x00-\x08\x0a-\x1f\x7f]*)\r\n")
_ENHANCED = re.compile(rb"([245])\.[0-9]{1,3}\.[0-9]{1,3} ")


class BadReply(AssertionError):
    """The server sent something that no client has to understand."""


def check_line(line: bytes) -> tuple[int, bool]:
    """Hold one line, CRLF included, to the grammar; return (code, is it the last line). Raises BadReply."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadReply(f"not a reply line: {line!r}")
    if len(line) > MAX_OCTETS:
        raise BadReply(f"a reply line of {len(line)} octets: {line[:60]!r}...")
    try:
        line.decode()
    except UnicodeDecodeError:
        raise BadReply(f"neither ASCII nor UTF-8: {line!r}") from None
    return int(match[1]), match[2] == b" "


def check_enhanced(line: bytes) -> None:
    """Hold a reply that is neither a greeting nor an intermediate one to RFC 2034. Raises BadReply."""
    match = _ENHANCED.match(line, 4)
    if match is None:
        raise BadReply(f"no enhanced status code: {line!r}")
    if match[1] != line[:1]:
        raise BadReply(f"an enhanced status code of another class than the reply: {line!r}")


def split_replies(stream: bytes) -> list[list[bytes]]:
    """Cut everything a server sent into replies, each a list of whole lines. Raises BadReply."""
    replies: list[list[bytes]] = []
    open_reply: list[bytes] = []
    for line in re.findall(rb".*?\r\n|.+", stream, re.DOTALL):
        code, last = check_line(line)
        if open_reply and open_reply[0][:3] != line[:3]:
            raise BadReply(f"one reply with two codes: {open_reply[0]!r} and {code}")
        open_reply.append(line)
        if last:
            replies.append(open_reply)
            open_reply = []
    if open_reply:
        raise BadReply(f"a reply without its last line: {open_reply!r}")
    return replies
