"""The client's side of SCRAM (RFC 5802, RFC 7677) on top of the package scramp, imported when first used."""

from __future__ import annotations

import base64
import re
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mta.net.openssl_layer import OpenSslLayer

SCRAM: Final = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1")
END_POINT: Final = "tls-server-end-point"  # RFC 5929 4
MAX_ITERATIONS = (
    200_000  # a server that asks for more would stop everything else here for as long as it likes
)

_ITERATIONS = re.compile(r",i=([0-9]{1,10})(?:,|\Z)")


class ScramError(ValueError):
    """The exchange cannot go on; the text says why and shows no secret."""


@cache
def available() -> bool:
    """True when the package scramp is installed."""
    return find_spec("scramp") is not None


class Scram:
    """One exchange. All texts that come and go are base64; everything raises ScramError.

    mechanism: one of SCRAM; tls: the session that is bound to the exchange, or that would be if the server could.
    """

    __slots__ = ("_client",)

    def __init__(self, mechanism: str, user: str, password: str, tls: OpenSslLayer | None) -> None:
        from scramp import ScramClient, ScramException

        data = tls.channel_binding(END_POINT) if tls is not None else None
        binding = None if data is None else (END_POINT, data)
        try:
            self._client: Any = ScramClient([mechanism], user, password, channel_binding=binding)
        except ScramException as error:
            raise ScramError(f"{mechanism} is not possible: {error}") from None

    def first(self) -> str:
        """The initial response."""
        return _encode(self._client.get_client_first())

    def final(self, challenge: str) -> str:
        """The answer to the first challenge: the proof that we know the password."""
        text = _decode(challenge)
        count = _ITERATIONS.search(text)
        if count is not None and int(count[1]) > MAX_ITERATIONS:
            raise ScramError(f"the server asks for {count[1]} iterations, {MAX_ITERATIONS} at most are done")
        self._take(self._client.set_server_first, text)
        return _encode(self._client.get_client_final())

    def verify(self, challenge: str) -> None:
        """Check the server's proof that it knows the password as well."""
        self._take(self._client.set_server_final, _decode(challenge))

    def _take(self, method: Any, text: str) -> None:
        from scramp import ScramException

        try:
            method(text)
        except (ScramException, ValueError) as error:
            raise ScramError(f"the server broke off: {error}") from None


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(challenge: str) -> str:
    try:
        return base64.b64decode(
            challenge.replace(" ", ""), validate=True
        ).decode()  # a long one comes in parts
    except ValueError:
        raise ScramError("malformed challenge") from None
