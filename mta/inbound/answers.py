"""What the client reads when a hook refuses: one table, hook by code."""

from __future__ import annotations

import re
from typing import NamedTuple

from mta.plugin.verdict import (
    DENY,
    DENYDISCONNECT,
    DENYSOFT,
    DENYSOFTDISCONNECT,
    DISCONNECT,
    Code,
    Verdict,
)
from mta.smtp.dsn import DSN
from mta.smtp.reply import Reply


class Refusal(NamedTuple):
    """One reply: code, enhanced code (RFC 3463) and the text used when the plugin gave none."""

    code: int
    enhanced: str
    text: str


# `{who}` is the address, host or whatever else the hook was asked about. The replies are Haraka's.
_DENY: dict[str, Refusal] = {
    "lookup_rdns": Refusal(554, "5.7.25", "rDNS Lookup Failed"),
    "connect": Refusal(554, "5.7.1", "Your mail is not welcome here"),
    "helo": Refusal(550, "5.7.1", "HELO denied"),
    "ehlo": Refusal(550, "5.7.1", "EHLO denied"),
    "unrecognized_command": Refusal(500, "5.5.1", "Unrecognized command"),
    "mail": Refusal(550, "5.7.1", "sender {who} denied"),
    "rcpt": Refusal(550, "5.7.1", "recipient {who} denied"),
    "rcpt_ok": Refusal(550, "5.7.1", "recipient {who} denied"),
    "data": Refusal(554, "5.7.1", "Message denied"),
    "max_data_exceeded": Refusal(552, "5.3.4", "Message too big!"),
    "data_post": Refusal(550, "5.7.1", "Message denied"),
    "queue": Refusal(550, "5.7.1", "Message denied"),
    "queue_outbound": Refusal(550, "5.7.1", "Message denied"),
    "vrfy": Refusal(550, "5.7.1", "Access Denied"),
    "noop": Refusal(500, "5.5.1", "Stop wasting my time"),
}

_DENYSOFT: dict[str, Refusal] = {
    "lookup_rdns": Refusal(421, "4.7.25", "rDNS Temporary Failure"),
    "connect": Refusal(421, "4.7.1", "Come back later"),
    "helo": Refusal(450, "4.7.1", "HELO denied"),
    "ehlo": Refusal(450, "4.7.1", "EHLO denied"),
    # A command can't be refused for a while only: the client reads 500 either way.
    "unrecognized_command": Refusal(500, "5.5.1", "Unrecognized command"),
    "mail": Refusal(450, "4.7.1", "sender {who} denied"),
    "rcpt": Refusal(450, "4.7.1", "recipient {who} denied"),
    "rcpt_ok": Refusal(450, "4.7.1", "recipient {who} denied"),
    "data": Refusal(451, "4.7.1", "Message denied"),
    "max_data_exceeded": Refusal(450, "4.3.4", "Message too big!"),
    "data_post": Refusal(450, "4.7.1", "Message denied temporarily"),
    "queue": Refusal(450, "4.7.1", "Message denied temporarily"),
    "queue_outbound": Refusal(450, "4.7.1", "Message denied temporarily"),
    "vrfy": Refusal(450, "4.7.1", "Lookup Failed"),
}

# Where hanging up has a reply code of its own.
_HANG_UP: dict[tuple[str, Code], tuple[int, str]] = {
    ("unrecognized_command", DENYDISCONNECT): (521, "5.5.1"),
    ("unrecognized_command", DENYSOFTDISCONNECT): (421, "4.5.1"),
}

_TABLE_OF: dict[Code, dict[str, Refusal]] = {
    DENY: _DENY,
    DENYDISCONNECT: _DENY,
    DISCONNECT: _DENY,
    DENYSOFT: _DENYSOFT,
    DENYSOFTDISCONNECT: _DENYSOFT,
}
_CLOSING = frozenset({DENYDISCONNECT, DENYSOFTDISCONNECT, DISCONNECT})
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3}) +")  # RFC 3463 section 2


def refuse(hook: str, verdict: Verdict, who: object = "") -> Reply | None:
    """The reply for a verdict that refuses, or None when it does not."""
    table = _TABLE_OF.get(verdict.code)
    if table is None:
        return None
    refusal = table.get(hook)
    if refusal is None:
        return None
    code, enhanced = _HANG_UP.get((hook, verdict.code), refusal[:2])
    default = Refusal(code, enhanced, refusal.text.format(who=who))
    return reply_with(verdict.message, default, close=verdict.code in _CLOSING)


def reply_with(message: object, default: Refusal, close: bool = False) -> Reply:
    """A reply with the plugin's message, or the default's text when it gave none.

    message: None, a str, a sequence of str, or a DSN, which brings its own codes. A text may begin with an enhanced code.
    """
    if isinstance(message, DSN):
        return Reply(message.code, message.msg or message.default_msg, message.enhanced, close=close)
    lines = _lines(message) or [default.text]
    enhanced, lines[0] = _split_enhanced(lines[0], default)
    return Reply(default.code, lines, enhanced, close=close)


def _lines(message: object) -> list[str]:
    if message is None or message == "":
        return []
    if isinstance(message, str):
        return message.splitlines()
    if isinstance(message, list | tuple):
        return [line for part in message for line in _lines(part)]
    return [str(message)]


def _split_enhanced(line: str, default: Refusal) -> tuple[str, str]:
    match = _ENHANCED.match(line)
    # RFC 2034 section 4: the class of the enhanced code is the first digit of the reply code.
    if match and match.group(1)[0] == str(default.code)[0]:
        return match.group(1), line[match.end() :]
    return default.enhanced, line
