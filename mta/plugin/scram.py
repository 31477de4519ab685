"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) on top of the package scramp, imported when first used."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import field
from importlib.util import find_spec
from typing import Any, Final

from mta.record import record
from mta.smtp.reply import Reply
from mta.smtp.sasl_server import BadResponse, Claim

SCRAM: Final = "SCRAM-SHA-256"
SCRAM_PLUS: Final = "SCRAM-SHA-256-PLUS"
END_POINT: Final = "tls-server-end-point"  # RFC 5929 4
ITERATIONS: Final = 4096  # RFC 7677 4: at least
SALT_OCTETS: Final = 16
MAX_CHALLENGE: Final = 320  # octets; in base64 they fit one reply line

# gs2-cbind-flag = ("p=" cb-name) / "n" / "y" (RFC 5802 7)
_BINDING_NAME = re.compile(r"p=([A-Za-z0-9.-]+),")

Lookup = Callable[[str], "ScramCredentials"]
Binding = Callable[[str], "bytes | None"]


@record
class ScramCredentials:
    """What a server keeps instead of a password (RFC 5802 3): nobody can log in with it who reads it."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


class WrongProof(Exception):
    """The client does not know the password, or nobody has that name."""

    def __init__(self, user: str) -> None:
        super().__init__("wrong user or password")
        self.user = user


def scram_available() -> bool:
    """True when the package scramp is installed."""
    return find_spec("scramp") is not None


def make_credentials(password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramCredentials:
    """Derive what the server keeps from a password; computes for milliseconds. Raises ValueError for an impossible one."""
    from scramp import ScramException, ScramMechanism

    try:
        salt, stored, server, count = ScramMechanism(SCRAM).make_auth_info(password, iterations, salt)
    except ScramException as error:
        raise ValueError(str(error)) from None
    return ScramCredentials(salt, count, stored, server)


def invented_salt(secret: bytes, user: str, octets: int = SALT_OCTETS) -> bytes:
    """A salt that is always the same for a user, and that nobody can tell from a real one; at most 64 octets."""
    return hmac.digest(secret, user.encode(), "sha512")[:octets]


class Scram:
    """The server's side of one exchange.

    lookup: gives the credentials of a user, made-up ones for a user that does not exist. binding: the bytes that
    identify the TLS session for a binding type, None where there are none; None altogether without channel binding.
    `step` raises WrongProof as well, and what lookup raises.
    """

    def __init__(self, name: str, lookup: Lookup, binding: Binding | None = None) -> None:
        self.name = name
        self._lookup = lookup
        self._binding = binding
        self._server: Any = None
        self._user = ""
        self._trouble: Exception | None = None
        self._done = False

    def step(self, response: bytes | None) -> bytes | Claim:
        """client-first, client-final, then the empty answer to server-final (RFC 4954 4: no data come with 235)."""
        if response is None:
            return b""
        if self._done:
            return self._end(response)
        try:
            text = response.decode("utf-8")
        except UnicodeDecodeError:
            raise BadResponse from None
        return self._first(text) if self._server is None else self._final(text)

    def _first(self, text: str) -> bytes:
        from scramp import ScramException, ScramMechanism

        try:
            self._server = ScramMechanism(self.name).make_server(self._credentials, self._bound_to(text))
            self._server.set_client_first(text)
            challenge: bytes = self._server.get_server_first().encode()
        except ScramException as error:
            raise self._trouble or _refusal(error, self._user) from error
        if len(challenge) > MAX_CHALLENGE:  # the client's nonce is part of it
            raise BadResponse
        return challenge

    def _final(self, text: str) -> bytes:
        from scramp import ScramException

        try:
            self._server.set_client_final(text)
            self._done = True
            return str(self._server.get_server_final()).encode()
        except ScramException as error:
            raise _refusal(error, self._user) from error

    def _end(self, response: bytes) -> Claim:
        if response:
            raise BadResponse
        return Claim(self._user, proven=True)

    def _credentials(self, user: str) -> tuple[bytes, bytes, bytes, int]:
        self._user = user
        try:
            found = self._lookup(user)
        except Exception as error:
            self._trouble = error
            raise
        return found.salt, found.stored_key, found.server_key, found.iterations

    def _bound_to(self, text: str) -> tuple[str, bytes] | None:
        """The binding that the client asks for; one that there is when it asks for none, for scramp to see a downgrade."""
        if self._binding is None:
            return None
        asked = _BINDING_NAME.match(text)
        kind = asked[1] if asked else END_POINT
        data = self._binding(kind)
        if data is None:
            raise BadResponse(Reply(535, f"No channel binding {kind} here", "5.7.8"))
        return kind, data


def _refusal(error: Exception, user: str) -> Exception:
    """A client that broke the protocol reads 501, one that is wrong 535."""
    from scramp.utils import ServerError

    kind = getattr(error, "server_error", None)
    if user and kind in (ServerError.INVALID_PROOF, ServerError.CHANNEL_BINDINGS_DONT_MATCH):
        return WrongProof(user)
    return BadResponse()
