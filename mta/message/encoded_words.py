"""Encoded words: text other than ASCII in header fields (RFC 2047)."""

from __future__ import annotations

import base64
import binascii
import quopri
import re

from mta.message import charset

# encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="   (the language is RFC 2231 5)
_ENCODED_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?\r\n]*)\?=")

# One or more words with something other than ASCII in them, and the blanks between these. Each begins where a word begins,
# and gives nothing back: the time is linear in any text.
_FOREIGN_WORD = r"[\x00-\x08\x0b\x0c\x0e-\x1f!-\x7f]*+[^\x00-\x7f][^ \t\r\n]*+"
_FOREIGN_WORDS = re.compile(rf"(?<![^ \t\r\n]){_FOREIGN_WORD}(?:[ \t]++{_FOREIGN_WORD})*+")

# RFC 2047 2: an encoded word has at most 75 characters; `=?utf-8?B?` and `?=` take 12, base64 makes 4 of 3 octets.
_MAX_OCTETS = 45
_LINE_ENDS = {10: " ", 13: " "}


def encode(text: str) -> str:
    """Replace the words that are not ASCII by encoded words in UTF-8, folded so that no line gets long."""
    return _FOREIGN_WORDS.sub(lambda match: "\r\n ".join(_encode_words(match[0])), text)


def decode(text: str) -> str:
    """Replace encoded words by what they stand for; what cannot be decoded stays, or gets U+FFFD. Never raises."""
    parts: list[str] = []
    waiting: list[tuple[str, bytes]] = []  # one character may be cut across two words of the same charset
    end = 0
    for match in _ENCODED_WORD.finditer(text):
        between = text[end : match.start()]
        if not waiting or between.strip():
            parts += [_join(waiting), between]
            waiting = []
        waiting.append((match[1].lower(), _octets(match[2], match[3])))
        end = match.end()
    return "".join([*parts, _join(waiting), text[end:]])


def one_line(text: str) -> str:
    """The text with blanks for its line ends: decoded text may hold some, and a field value may not."""
    return text.translate(_LINE_ENDS)


def _encode_words(text: str) -> list[str]:
    words, octets = [], b""
    for character in text:
        more = character.encode("utf-8", "replace")
        if len(octets) + len(more) > _MAX_OCTETS:
            words.append(octets)
            octets = b""
        octets += more
    return [f"=?utf-8?B?{base64.b64encode(word).decode()}?=" for word in [*words, octets]]


def _octets(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "Qq":
        return quopri.decodestring(raw.replace(b"_", b" "))
    try:
        return binascii.a2b_base64(
            raw + b"==="
        )  # padding that is missing is common, too much of it is ignored
    except binascii.Error:
        return raw


def _join(words: list[tuple[str, bytes]]) -> str:
    text, start = "", 0
    for i in range(1, len(words) + 1):
        if i == len(words) or words[i][0] != words[start][0]:
            text += charset.decode(b"".join(octets for _, octets in words[start:i]), words[start][0])[0]
            start = i
    return one_line(text)
