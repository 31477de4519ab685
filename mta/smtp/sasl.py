"""The client's side of SMTP authentication (RFC 4954): which mechanism, and what to answer."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# Haraka's order. OAUTHBEARER and the like need more than a user and a password.
MECHANISMS: Final = ("CRAM-MD5", "PLAIN", "LOGIN")


def choose(offered: Sequence[str], wanted: str | None = None) -> str | None:
    """The mechanism to use of those offered: the wanted one, else the first of MECHANISMS; None when there is none."""
    names = {name.upper() for name in offered}
    for name in (wanted.upper(),) if wanted else MECHANISMS:
        if name in names and name in MECHANISMS:
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


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
