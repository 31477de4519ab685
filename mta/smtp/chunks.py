"""The content of a mail as BDAT carries it (RFC 3030): plain lines without dots stuffed, brought into SMTP form."""

from __future__ import annotations

import re

from mta.smtp.data import has_bare_newline

# chunk-size = 1*DIGIT;  end-marker = "LAST"
_ARGUMENT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE | re.ASCII)
_NEWLINE = re.compile(rb"\r\n|\r|\n")


def parse_bdat(argument: str) -> tuple[int, bool] | None:
    """The argument of BDAT, `size [LAST]`: how many octets follow, and whether they are the last; None if it is none."""
    match = _ARGUMENT.fullmatch(argument)
    return (int(match[1]), match[2] is not None) if match else None


class ChunkDecoder:
    """Takes octets of a message, cut anywhere, and gives them in SMTP form: CRLF, dots stuffed, no final dot.

    repair: bare newlines become CRLF; otherwise they are only reported in `bare_newline`. After finish() `done` is set.
    Nothing in the octets is taken for the end of the message, so `rest` is always empty. checked: nobody has looked whether the
    result has a CRLF.CRLF; that dots are stuffed only says so.
    """

    __slots__ = ("_held", "_line_start", "_repair", "bare_newline", "done", "rest")
    checked = False

    def __init__(self, repair: bool = False) -> None:
        self.done = False
        self.rest = b""
        self.bare_newline = False
        self._held = b""
        self._line_start = True
        self._repair = repair

    def feed(self, chunk: bytes) -> bytes:
        """Take the next octets, return what is in SMTP form for certain."""
        data = self._held + chunk if self._held else chunk
        self._held = b""
        if data.endswith(b"\r"):  # is it half of a line end? The next octet tells.
            data, self._held = data[:-1], b"\r"
        return self._stuffed(data)

    def finish(self) -> bytes:
        """The message is complete: return what is still owed, the end of an unfinished last line included."""
        self.done = True
        piece = self._stuffed(self._held)
        self._held = b""
        if self._line_start:
            return piece
        self._line_start = True
        return piece + b"\r\n"

    def _stuffed(self, data: bytes) -> bytes:
        if not data:
            return data
        if has_bare_newline(data):
            self.bare_newline = True
            if self._repair:
                data = _NEWLINE.sub(b"\r\n", data)
        at_start = self._line_start
        self._line_start = data.endswith(b"\n")
        if b"\n." in data:
            data = data.replace(b"\n.", b"\n..")
        return b"." + data if at_start and data.startswith(b".") else data
