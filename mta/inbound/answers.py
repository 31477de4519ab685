"""What the client reads when a hook refuses: one table, hook by code."""

from __future__ import annotations

from mta.plugin.refusal import Refusal, reply_with
from mta.plugin.verdict import (
    DENY,
    DENYDISCONNECT,
    DENYSOFT,
    DENYSOFTDISCONNECT,
    DISCONNECT,
    Code,
    Verdict,
)
from mta.smtp.reply import Reply

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
