"""The client's side of SMTP authentication (RFC 4954): which mechanism, and what to answer."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# What needs no more than a user and a password and the standard library, in Haraka's order.
MECHANISMS: Final = ("CRAM-MD5", "PLAIN", "LOGIN")
BEARER: Final = ("OAUTHBEARER", "XOAUTH2")
"""Mechanisms that take an OAuth 2.0 access token: the standard one first."""

CANCEL_BEARER: Final = {"OAUTHBEARER": "AQ==", "XOAUTH2": ""}
"""What is answered to the challenge that tells why a token was refused (RFC 7628 3.2.3)."""


def choose(
    offered: Sequence[str], wanted: str | None = None, usable: Sequence[str] = MECHANISMS
) -> str | None:
    """The mechanism to use of those offered: the wanted one, else the first of the usable; None when there is none."""
    names = {name.upper() for name in offered}
    for name in (wanted.upper(),) if wanted else usable:
        if name in names and name in usable:
            return name
    return None


def plain(user: str, password: str, authzid: str = "") -> str:
    """The initial response of PLAIN (RFC 4616), in base64. Raises ValueError for a NUL in one of the three."""
    if "\0" in user + password + authzid:
        raise ValueError("a NUL cannot be sent by AUTH PLAIN")
    return _base64(f"{authzid}\0{user}\0{password}")


def login(user: str, password: str) -> tuple[str, str]:
    """The two answers of LOGIN in base64: to its first 334 and to its second, whatever these ask in words."""
    return _base64(user), _base64(password)


def cram_md5(user: str, password: str, challenge: str) -> str:
    """The answer of CRAM-MD5 (RFC 2195) to the challenge, both in base64. Raises ValueError for a broken challenge."""
    try:
        ticket = base64.b64decode(challenge, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the CRAM-MD5 challenge is not base64: {challenge[:80]!r}") from error
    return _base64(f"{user} {hmac.new(password.encode(), ticket, 'md5').hexdigest()}")


def xoauth2(user: str, token: str) -> str:
    """The initial response of XOAUTH2, as Google and Microsoft describe it, in base64. Raises ValueError for a control."""
    _check_printable(user, token)
    return _base64(f"user={user}\x01auth=Bearer {token}\x01\x01")


def oauthbearer(user: str, token: str, host: str, port: int) -> str:
    """The initial response of OAUTHBEARER (RFC 7628 3.1), in base64. Raises ValueError for a control character."""
    _check_printable(user, token, host)
    # saslname (RFC 5801 4): a comma would end it
    name = user.replace("=", "=3D").replace(",", "=2C")
    return _base64(f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01")


def bearer_error(challenge: str) -> str:
    """Why a token was refused: the status in the JSON of a challenge (RFC 7628 3.2.2); "" when it names none."""
    try:
        record = json.loads(base64.b64decode(challenge))
    except ValueError:
        return ""
    status = record.get("status") if isinstance(record, dict) else None
    return status if isinstance(status, str) and status.isprintable() and len(status) < 80 else ""


def _check_printable(*texts: str) -> None:
    if not all(map(str.isprintable, texts)):
        raise ValueError("a control character cannot be sent by AUTH")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
