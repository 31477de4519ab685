"""The reply that a plugin's refusal becomes."""

from __future__ import annotations

import re
from typing import NamedTuple

from mta.smtp.dsn import DSN
from mta.smtp.reply import Reply

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3}) +")  # RFC 3463 section 2


class Refusal(NamedTuple):
    """One reply: code, enhanced code (RFC 3463) and the text used when the plugin gave none."""

    code: int
    enhanced: str
    text: str


def reply_with(message: object, default: Refusal, close: bool = False) -> Reply:
    """A reply with the plugin's message, or the default's text when it gave none.

    message: None, a str, a sequence of str, or a DSN. A text may begin with an enhanced code. A DSN brings its own codes if
    both refuse; it can not turn a refusal into an acceptance, nor the other way about.
    """
    if isinstance(message, DSN) and min(message.code, default.code) >= 400:
        return Reply(message.code, message.lines, message.enhanced, close=close)
    lines = lines_of(message) or [default.text]
    enhanced = _split_enhanced(lines, default)
    if isinstance(message, DSN) and default.enhanced and message.cls == default.code // 100:
        enhanced = message.enhanced
    return Reply(default.code, lines, enhanced, close=close)


def acceptance(lines: list[str], default: Refusal) -> Reply:
    """As reply_with, of lines as lines_of gives them, at least one; they are the callee's."""
    enhanced = _split_enhanced(lines, default)
    return Reply(default.code, lines, enhanced)


def lines_of(message: object) -> list[str]:
    """The text of a message line by line, of a DSN what it was given; [] when the plugin gave none."""
    if isinstance(message, str):
        return message.splitlines()
    if message is None:
        return []
    if isinstance(message, DSN):
        return lines_of(message.msg)
    if isinstance(message, list | tuple):
        return [line for part in message for line in lines_of(part)]
    return [str(message)]


def _split_enhanced(lines: list[str], default: Refusal) -> str:
    """The enhanced code that the first line begins with, which is taken out of it, or else the default's."""
    match = _ENHANCED.match(lines[0])
    # RFC 2034 section 4: the class of the enhanced code is the first digit of the reply code.
    if match and match.group(1)[0] == str(default.code)[0]:
        lines[0] = lines[0][match.end() :]
        return match.group(1)
    return default.enhanced
