"""What a server answers to a command: the value, its bytes, and reading one from a next hop (RFC 5321 4.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# RFC 5321 4.5.3.1.5: a reply line is at most 512 octets with its code and CRLF. Room for a prefix is kept.
MAX_TEXT_OCTETS = 440
MAX_REPLY_LINES = 512

# Everything but TAB that could end the line, or move the cursor of whoever reads it.
_CONTROLS = dict.fromkeys([*range(9), *range(10, 32), *range(127, 160), 0x2028, 0x2029], " ")

# Reply-line = Reply-code [ SP textstring ] CRLF, with "-" instead of SP on all lines but the last.
# Reply-code = %x32-35 %x30-35 %x30-39; the second digit is taken from 0-9, as others do.
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)

# RFC 2034 4 and RFC 3463 2: class "." subject "." detail, where subject and detail have up to three digits.
# Some gateways write a "#" in front.
_ENHANCED = re.compile(r"#?(([245])\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)")


class MalformedReply(ValueError):
    """The next hop sent something that is not an SMTP reply."""


class Reply:
    """One reply: code, lines of text, enhanced status code, and whether to hang up after it.

    text is one string (split at line feeds) or a sequence of them; empty lines are dropped. enhanced is an RFC 3463
    code such as "2.1.0", sent in front of every line. Immutable; equal and hashable by value.
    """

    __slots__ = ("_bytes", "close", "code", "enhanced", "lines")

    code: int
    lines: tuple[str, ...]
    enhanced: str | None
    close: bool
    _bytes: bytes

    def __init__(
        self, code: int, text: str | Sequence[str], enhanced: str | None = None, close: bool = False
    ) -> None:
        if not isinstance(text, str):
            text = "\n".join(text)
        # No line feed, and short in any encoding.
        plain = len(text) < MAX_TEXT_OCTETS // 4 and text.isprintable()
        _fill_code(self, code)
        _fill_lines(self, (text,) if plain else _lines(text))
        _fill_enhanced(self, enhanced)
        _fill_close(self, close)
        _fill_bytes(self, b"")

    def to_bytes(self, prefix: str = "") -> bytes:
        """The reply as it goes over the wire, CRLF included; prefix is put before the text of every line."""
        if self._bytes and not prefix:
            return self._bytes
        mark = f"{self.enhanced} {prefix}" if self.enhanced else prefix
        lines = self.lines
        first = "" if len(lines) == 1 else "".join(f"{self.code}-{mark}{line}\r\n" for line in lines[:-1])
        data = f"{first}{self.code} {mark}{lines[-1]}\r\n".encode("utf-8", "replace")
        if not prefix:
            _fill_bytes(self, data)
        return data

    @property
    def text(self) -> str:
        """All lines in one, without codes."""
        return " ".join(self.lines)

    @property
    def kind(self) -> int:
        """The first digit of the code: 2 done, 3 go on, 4 not now, 5 never."""
        return self.code // 100

    def _value(self) -> tuple[int, tuple[str, ...], str | None, bool]:
        return self.code, self.lines, self.enhanced, self.close

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and self._value() == other._value()

    def __hash__(self) -> int:
        return hash(self._value())

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"

    def __repr__(self) -> str:
        return f"Reply({self.code}, {list(self.lines)!r}, {self.enhanced!r}, close={self.close})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Reply does not change: {name}")

    def __reduce__(self) -> tuple[type[Reply], tuple[int, tuple[str, ...], str | None, bool]]:
        return Reply, self._value()


# Past __setattr__, which refuses: half the price of object.__setattr__, and every command makes a reply.
_fill_code = Reply.__dict__["code"].__set__
_fill_lines = Reply.__dict__["lines"].__set__
_fill_enhanced = Reply.__dict__["enhanced"].__set__
_fill_close = Reply.__dict__["close"].__set__
_fill_bytes = Reply.__dict__["_bytes"].__set__


class ProtocolError(Exception):
    """The client broke the protocol; reply says how to answer it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def parse_reply_line(line: bytes) -> tuple[int, bool, str]:
    """Split one reply line without its CRLF into (code, is it the last line, text). Raises MalformedReply."""
    match = _REPLY_LINE.fullmatch(line)
    if match is None:
        raise MalformedReply(f"not an SMTP reply: {line[:80]!r}")
    code, mark, text = match.groups(b"")
    return int(code), mark != b"-", text.decode("utf-8", "replace")


def read_reply(read_line: Callable[[], bytes]) -> Reply:
    """Read one whole reply, line by line, from read_line (lines without CRLF).

    The enhanced code in front of the text is split off; of a refusal, any line may be the first that has one. Raises
    MalformedReply, and whatever read_line raises.
    """
    code, last, text = parse_reply_line(read_line())
    enhanced, text = _split(text, code)
    lines = [text]
    while not last:
        if len(lines) >= MAX_REPLY_LINES:
            raise MalformedReply(f"a reply of more than {MAX_REPLY_LINES} lines")
        following, last, text = parse_reply_line(read_line())
        if following != code:
            raise MalformedReply(f"one reply with two codes, {code} and {following}")
        if enhanced or code >= 400:
            found, text = _split(text, code)
            enhanced = enhanced or found
        lines.append(text)
    return Reply(code, lines, enhanced)


def _split(text: str, code: int) -> tuple[str | None, str]:
    """The enhanced code that a line begins with, and what follows it."""
    match = _ENHANCED.match(text)
    # RFC 2034 4: a code of another class than the reply is no enhanced code, it is text that looks like one.
    if match is None or int(match[2]) != code // 100:
        return None, text
    return match[1], text[match.end() :]


def _lines(text: str) -> tuple[str, ...]:
    """The lines of a text: printable, not empty, and short enough for one reply line each."""
    lines: list[str] = []
    for line in text.split("\n"):
        if (
            len(line) < MAX_TEXT_OCTETS // 4 and line.isprintable()
        ):  # nearly all are: this makes EHLO four times cheaper
            lines.append(line.rstrip(" "))
        else:
            lines += _wrap(line.translate(_CONTROLS).rstrip(" "))
    return tuple([line for line in lines if line]) or ("",)


def _wrap(line: str) -> list[str]:
    """Cut a line into parts of MAX_TEXT_OCTETS at most, at a blank where there is one."""
    parts = []
    while len((start := line[: MAX_TEXT_OCTETS + 1]).encode("utf-8", "replace")) > MAX_TEXT_OCTETS:
        fitting = start.encode("utf-8", "replace")[:MAX_TEXT_OCTETS].decode("utf-8", "ignore")
        cut = fitting.rfind(" ") + 1 or len(fitting)
        parts.append(line[:cut].rstrip(" "))
        line = line[cut:].lstrip(" ")
    return [*parts, line]
