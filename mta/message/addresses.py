"""Address lists of header fields: From, To, Cc and their like (RFC 5322 3.4 and 4.4), as they are really written."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mta.message import encoded_words

if TYPE_CHECKING:
    from collections.abc import Iterator

# Every character belongs to one token, and no token is given back: the time is linear in any text.
_TOKEN = re.compile(
    r"""\s++
    | "(?P<quoted>(?:[^"\\]|\\.)*+)"?
    | <(?P<angle>(?:[^<>"]|"(?:[^"\\]|\\.)*+")*+)>?
    | (?P<word>\[[^\[\]]*+\]?+ | [^\s"<>\[\](),;:\\]++)
    | (?P<special>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"[^()\\]++|\\.|[()\\]", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NOT_ADDRESS = re.compile(r"\s++|\([^()]*+\)")  # blanks and comments

# RFC 5321 4.5.3.1 allows 320 octets: no more is put together to one address.
_MAX_ADDRESS = 1000
# After so many tokens others get their turn.
_PAUSE_AFTER = 5000


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address of a list: `phrase <address> (comment)`, in the group it stands in, if any. Text is decoded."""

    address: str
    phrase: str = ""
    comment: str = ""
    group: str = ""

    @property
    def name(self) -> str:
        """What to call the owner: the phrase, or else the comment."""
        return self.phrase or self.comment

    @property
    def user(self) -> str:
        """The part before the last @, as it is written."""
        return self.address.rpartition("@")[0]

    @property
    def host(self) -> str:
        """The part behind the last @, in lower case."""
        return self.address.rpartition("@")[2].lower()

    def __str__(self) -> str:
        return f"{self.phrase} <{self.address}>" if self.phrase else self.address


def parse(text: str) -> list[Mailbox]:
    """The mailboxes in an unfolded field value, from left to right. Never raises: what is no address is left out."""
    reader = _Reader()
    position = tokens = 0
    while match := _TOKEN.match(text, position):
        position = match.end()
        tokens += 1
        if tokens % _PAUSE_AFTER == 0:
            time.sleep(0)
        if match["special"] == "(":
            comment, position = _comment(text, position)
            reader.comments.append(comment)
        else:
            reader.take(match)
    reader.end()
    return reader.found


class _Reader:
    """What is known of the mailbox that is being read."""

    def __init__(self) -> None:
        self.found: list[Mailbox] = []
        self.comments: list[str] = []
        self._words: list[str] = []  # quoted strings with their quotes
        self._angle: str | None = None
        self._group = ""
        self._glued = (
            False  # the next word follows a quoted string, or the other way round, with no blank between
        )

    def take(self, match: re.Match[str]) -> None:
        if match["angle"] is not None:
            self._angle = match["angle"]
        elif match["special"] is not None:
            self._special(match["special"])
        elif match["quoted"] is not None or match["word"] is not None:
            self._word(match)
            return
        self._glued = False

    def _word(self, match: re.Match[str]) -> None:
        text = match[0]
        last = self._words[-1] if self._glued and self._words else ""
        if last and (text[0] == "@" or last[-1] == "@") and len(last) <= _MAX_ADDRESS:
            self._words[-1] += text
        else:
            self._words.append(text)
        self._glued = True

    def _special(self, character: str) -> None:
        if character == ":" and self._angle is None:
            self._group = self._phrase(self._words)
            self._words = []
        elif character in ",;":
            self.end()
            if character == ";":
                self._group = ""

    def end(self) -> None:
        """The mailbox is complete."""
        if not self._words and self._angle is None:
            self.comments = []
            return
        phrase = self._words
        if self._angle is not None:
            address = _address(self._angle)
        else:
            start, end = _span(self._words)
            address = "".join(self._words[start:end])
            phrase = [*self._words[:start], *self._words[end:]]
        if "@" in address or (address and self._angle is not None):
            comment = encoded_words.decode(" ".join(self.comments).strip())
            self.found.append(Mailbox(address, self._phrase(phrase), comment, self._group))
        self._words, self.comments, self._angle = [], [], None

    @staticmethod
    def _phrase(words: list[str]) -> str:
        return encoded_words.decode(" ".join(map(_unquoted, words))) if words else ""


def _address(angle: str) -> str:
    """What stands between < and >, without blanks, comments and source route (RFC 5322 4.4)."""
    address = angle if '"' in angle else _NOT_ADDRESS.sub("", angle)
    return address.partition(":")[2] if address.startswith("@") else address.strip()


def _span(words: list[str]) -> tuple[int, int]:
    """Which words make up the address: the one with the @, and what dots and blanks around it have cut off (4.4)."""
    at = next((i for i, word in enumerate(words) if _has_at(word)), len(words))
    start, end = at, min(at + 1, len(words))
    while 0 < start < len(words) and (words[start][0] in "@." or words[start - 1][-1] == "."):
        start -= 1
    while end < len(words) and (words[end - 1][-1] in "@." or words[end][0] == "."):
        end += 1
    return start, end


def _has_at(word: str) -> bool:
    """True when there is an @ outside of quotes."""
    _, quote, behind = word[1:].rpartition('"') if word[0] == '"' else ("", '"', word)
    return bool(quote) and "@" in behind


def _unquoted(word: str) -> str:
    if not word.startswith('"'):
        return word
    return _QUOTED_PAIR.sub(r"\1", word[1:-1] if word.endswith('"') and len(word) > 1 else word[1:])


def _comment(text: str, start: int) -> tuple[str, int]:
    """The comment whose ( stands before start, and where it ends. They nest; an open one goes on to the end."""
    depth = 1
    for token in _tokens(text, start):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return _QUOTED_PAIR.sub(r"\1", text[start : token.start()]).strip(), token.end()
    return text[start:].strip(), len(text)


def _tokens(text: str, start: int) -> Iterator[re.Match[str]]:
    return _COMMENT.finditer(text, start)
