"""MAIL and RCPT as one next hop understands them: which parameters it gets, and which recipients it cannot take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mta.smtp.address import Address
from mta.smtp.reply import Reply

Params = Mapping[str, "str | None"]

NO_PARAMS: Params = MappingProxyType({})
NO_RCPT_PARAMS: Mapping[Address, Params] = MappingProxyType({})

# RFC 6531 3.7.4.2
_NEEDS_SMTPUTF8 = Reply(550, "the next hop does not take internationalised mail (SMTPUTF8)", "5.6.7")

# What the client before us said that goes on to a next hop with the extension. HOLDFOR and HOLDUNTIL are not among them:
# it is here that the mail was held (RFC 4865).
_MAIL_PARAMS = (("RET", "DSN"), ("ENVID", "DSN"), ("BY", "DELIVERBY"), ("MT-PRIORITY", "MT-PRIORITY"))
_RCPT_PARAMS = ("NOTIFY", "ORCPT")  # RFC 3461 4

# esmtp-value = 1*(%d33-60 / %d62-126) (RFC 5321 4.1.2), with UTF8-non-ascii (RFC 6531 3.3), and "=" as some xtexts have it
_VALUE = re.compile(r"[^\x00- \x7f-\xa0\ud800-\udfff]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


@dataclass(slots=True)
class Envelope:
    """mail: the MAIL command; rcpts: each recipient's RCPT command; refused: the reply of those that cannot be named there."""

    mail: str
    rcpts: dict[Address, str]
    refused: dict[Address, Reply]


def envelope(
    mail_from: Address,
    rcpts: Sequence[Address],
    offered: Mapping[str, str],
    size: int,
    *,
    eight_bit: bool,
    smtputf8: bool,
    require_tls: bool,
    mail_params: Params = NO_PARAMS,
    rcpt_params: Mapping[Address, Params] = NO_RCPT_PARAMS,
) -> Envelope:
    """The commands for a peer that offers these extensions.

    size: bytes of the message; eight_bit: it may have octets above 127; smtputf8: its header has, and counts as UTF-8;
    require_tls: the peer has promised REQUIRETLS. mail_params and rcpt_params: what the client before us said, keys in
    upper case; what the peer does not offer, or what is no parameter value, is left out.
    """
    mail = f"MAIL FROM:<{mail_from.address}>"
    utf8 = smtputf8 or not mail.isascii()  # the domain of an Address is in A-labels already
    lines: dict[Address, str] = {}
    for rcpt in rcpts:
        lines[rcpt] = line = f"RCPT TO:<{rcpt.address}>"
        utf8 = utf8 or not line.isascii()
    refused: dict[Address, Reply] = {}
    if utf8 and "SMTPUTF8" not in offered:
        refused = _refused_for_utf8(mail_from, rcpts, smtputf8)
        utf8 = False  # who could not do without is refused by now
        lines = {rcpt: line for rcpt, line in lines.items() if rcpt not in refused}
    if "SIZE" in offered:
        mail += f" SIZE={size}"
    if (eight_bit or utf8) and "8BITMIME" in offered:
        mail += " BODY=8BITMIME"
    if utf8:
        mail += " SMTPUTF8"
    if require_tls:
        mail += " REQUIRETLS"
    if mail_params:
        mail += _passed_on(mail_params, [key for key, need in _MAIL_PARAMS if need in offered], utf8)
    if rcpt_params and "DSN" in offered:
        for rcpt in lines:
            if params := rcpt_params.get(rcpt):
                lines[rcpt] += _passed_on(params, _RCPT_PARAMS, utf8)
    return Envelope(mail, lines, refused)


def size_limit(offered: Mapping[str, str]) -> int:
    """The bytes that a message may have at most by the EHLO reply; 0 when there is no fixed limit (RFC 1870 4)."""
    words = offered.get("SIZE", "").split()
    return int(words[0]) if words and re.fullmatch(r"[0-9]{1,20}", words[0]) else 0


def _refused_for_utf8(mail_from: Address, rcpts: Sequence[Address], smtputf8: bool) -> dict[Address, Reply]:
    everybody = smtputf8 or not mail_from.address.isascii()
    return {rcpt: _NEEDS_SMTPUTF8 for rcpt in rcpts if everybody or not rcpt.address.isascii()}


def _passed_on(params: Params, keys: Sequence[str], utf8: bool) -> str:
    """The parameters of these names as they follow a command."""
    found = [(key, params.get(key)) for key in keys]
    return "".join(
        f" {key}={_shown(value, utf8)}" for key, value in found if value and _VALUE.fullmatch(value)
    )


def _shown(value: str, utf8: bool) -> str:
    """A value in ASCII where the command must be: the address of a utf-8 ORCPT has such a form (RFC 6533 3)."""
    if utf8 or value.isascii():
        return value
    return _NOT_ASCII.sub(lambda match: f"\\x{{{ord(match[0]):X}}}", value)
