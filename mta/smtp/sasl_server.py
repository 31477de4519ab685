"""The server's side of SMTP authentication (RFC 4954): each mechanism is a small state object, without input or output.

`step` takes what the client sent, decoded, or None when it sent nothing yet. It returns bytes to send as the next
challenge, or a claim: what the client says about itself, which is still to be checked. It raises BadResponse.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Final, Protocol

from mta.smtp.reply import ProtocolError, Reply

CANCELLED: Final = Reply(501, "Authentication cancelled", "5.7.0")
NOT_BASE64: Final = Reply(501, "That is not base64", "5.5.2")
MALFORMED: Final = Reply(501, "Malformed authentication response", "5.5.2")
NO_INITIAL_RESPONSE: Final = Reply(501, "This mechanism takes no initial response", "5.5.4")
NO_MECHANISM: Final = Reply(501, "Syntax is AUTH mechanism [initial-response]", "5.5.4")
UNKNOWN_MECHANISM: Final = Reply(504, "Unrecognized authentication type", "5.5.4")

# sasl-mech = 1*20mech-char; mech-char = %x41-5A / DIGIT / "-" / "_" (RFC 4422 3.1, taken in any case)
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")
_DIGEST = re.compile(r"[0-9a-fA-F]{32}")


class BadResponse(ProtocolError):
    """The client's response is not what the mechanism calls for."""

    def __init__(self, reply: Reply = MALFORMED) -> None:
        super().__init__(reply)


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says that they are `user`; proven is True when the mechanism itself has checked that."""

    user: str
    proven: bool = False


@dataclass(frozen=True, slots=True)
class PasswordClaim(Claim):
    """`user` with a password, still to be compared; "" in either never passes."""

    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CramClaim(Claim):
    """`user` with the digest of a challenge, keyed by the password (RFC 2195)."""

    digest: str = ""
    ticket: bytes = b""

    def proves(self, password: str) -> bool:
        """True when the digest was made with this password; the time it takes tells nothing about it."""
        made = hmac.new(password.encode(), self.ticket, "md5").hexdigest()
        return hmac.compare_digest(made, self.digest)


class Mechanism(Protocol):
    """What all mechanisms do; `name` is the one in capital letters."""

    name: str

    def step(self, response: bytes | None) -> bytes | Claim:
        """Take the next response; the next challenge, or the claim at the end."""


class Plain:
    """PLAIN (RFC 4616): message = [authzid] NUL authcid NUL passwd."""

    name = "PLAIN"

    def step(self, response: bytes | None) -> bytes | Claim:
        """One response, the initial one or the answer to an empty challenge."""
        if response is None:
            return b""
        parts = _text(response).split("\0")
        # Nobody acts for somebody else here: the identity to act as is the one that logs in.
        if len(parts) != 3 or parts[0] not in ("", parts[1]):
            raise BadResponse
        return PasswordClaim(parts[1], password=parts[2])


class Login:
    """LOGIN (draft-murchison-sasl-login): user and password, each asked for."""

    name = "LOGIN"

    def __init__(self) -> None:
        self._user: str | None = None

    def step(self, response: bytes | None) -> bytes | Claim:
        """Ask for the user, unless the initial response named it, then for the password."""
        if response is None:
            return b"Username:"
        text = _text(response)
        if "\0" in text:
            raise BadResponse
        if self._user is None:
            self._user = text
            return b"Password:"
        return PasswordClaim(self._user, password=text)


class CramMd5:
    """CRAM-MD5 (RFC 2195); `host` names the server in the challenge."""

    name = "CRAM-MD5"

    def __init__(self, host: str) -> None:
        self.ticket = f"<{secrets.token_hex(8)}.{time.time_ns():x}@{host}>".encode()
        self._sent = False

    def step(self, response: bytes | None) -> bytes | Claim:
        """Send the challenge, then read `user SP digest`."""
        if response is None:
            self._sent = True
            return self.ticket
        if not self._sent:
            raise BadResponse(NO_INITIAL_RESPONSE)
        user, blank, digest = _text(response).rpartition(" ")
        if not blank or not _DIGEST.fullmatch(digest):
            raise BadResponse
        return CramClaim(user, digest=digest.lower(), ticket=self.ticket)


def parse_auth(argument: str) -> tuple[str, bytes | None]:
    """Read `mechanism [SP initial-response]`: the mechanism in capitals, and the response decoded; None when there is none.

    Raises ProtocolError.
    """
    words = argument.split()
    if not 1 <= len(words) <= 2:
        raise ProtocolError(NO_MECHANISM)
    if not _MECHANISM.fullmatch(words[0]):
        raise ProtocolError(UNKNOWN_MECHANISM)
    return words[0].upper(), decode_initial(words[1]) if len(words) == 2 else None


def decode_initial(text: str) -> bytes:
    """The initial response; a single `=` is an empty one (RFC 4954 4). Raises ProtocolError."""
    return b"" if text == "=" else decode_response(text)


def decode_response(text: str) -> bytes:
    """One line of the client's; `*` gives up (RFC 4954 4). Raises ProtocolError."""
    if text == "*":
        raise ProtocolError(CANCELLED)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters outside ASCII
        raise ProtocolError(NOT_BASE64) from None


def encode_challenge(challenge: bytes) -> str:
    """What follows 334."""
    return base64.b64encode(challenge).decode("ascii")


def _text(response: bytes) -> str:
    try:
        return response.decode("utf-8")
    except UnicodeDecodeError:
        raise BadResponse from None
