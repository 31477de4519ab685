"""Access tokens of an OAuth 2.0 provider (RFC 6749), asked for when they are needed and kept while they are good."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import field
from typing import Final
from urllib.parse import urlencode

from mta.net.oauth_endpoint import TIMEOUT, TokenError, endpoint, json_object, post
from mta.net.oauth_file import TokenFile
from mta.record import record

__all__ = ["CLIENT_CREDENTIALS", "REFRESH_TOKEN", "OAuthClient", "TokenError", "TokenSource"]

CLIENT_CREDENTIALS: Final = "client_credentials"
REFRESH_TOKEN: Final = "refresh_token"

MARGIN = 60.0  # seconds before its end that a token is not used any more
DEFAULT_LIFETIME = 3600  # seconds, when the provider does not say
MAX_LIFETIME = 7 * 86400
PAUSE = 30.0  # seconds before a provider that failed, or gave a token that is refused, is asked again

# access-token = 1*VSCHAR (RFC 6749 A.12)
_TOKEN = re.compile(r"[!-~]{1,16384}")
# error = 1*NQSCHAR (RFC 6749 A.7)
_ERROR = re.compile(r"[ !#-\[\]-~]{1,80}")


@record
class OAuthClient:
    """How this server is known to a provider.

    url: the token endpoint, https, or http on this machine; grant: REFRESH_TOKEN or CLIENT_CREDENTIALS; scope: separated
    by blanks; refresh_token_file: for REFRESH_TOKEN. Raises ValueError saying what is wrong.
    """

    url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    grant: str = REFRESH_TOKEN
    scope: str = ""
    refresh_token_file: str = ""

    def __post_init__(self) -> None:
        endpoint(self.url)
        if not self.client_id:
            raise ValueError("a client id is needed")
        if self.grant == REFRESH_TOKEN and not self.refresh_token_file.startswith("/"):
            raise ValueError("the refresh token must be in a file that is named by an absolute path")
        if self.grant == CLIENT_CREDENTIALS and not self.client_secret:
            raise ValueError("client_credentials needs the client's secret")


class TokenSource:
    """Gives the access token of one client; many greenlets may ask, one request at a time is made for them.

    complaint: what an operator must know though there is a token, "" when nothing. pause: seconds, see PAUSE.
    """

    __slots__ = (
        "_client",
        "_end",
        "_failed",
        "_file",
        "_lock",
        "_quiet_until",
        "_token",
        "_worked",
        "complaint",
        "pause",
    )

    def __init__(self, client: OAuthClient, *, pause: float = PAUSE) -> None:
        self.pause = pause
        self.complaint = ""
        self._client = client
        self._file = TokenFile(client.refresh_token_file) if client.grant == REFRESH_TOKEN else None
        self._lock = threading.Lock()
        self._token = ""
        self._end = 0.0  # of the token, monotonic
        self._worked = False
        self._failed: TokenError | None = None
        self._quiet_until = 0.0  # the provider is not asked before

    def token(self) -> str:
        """An access token that is good for a while. Raises TokenError."""
        if time.monotonic() < self._end:
            return self._token
        with self._lock:
            now = time.monotonic()
            if now < self._end:
                return self._token  # somebody else has got it meanwhile
            if self._failed is not None and now < self._quiet_until:
                raise TokenError(str(self._failed))
            self._renew()
            return self._token

    def worked(self, token: str) -> None:
        """The next hop took this token."""
        if token == self._token:
            self._worked = True

    def refused(self, token: str) -> None:
        """The next hop did not take this token: token() gets another one, unless this one is new and never worked."""
        now = time.monotonic()
        if token == self._token and (self._worked or now >= self._quiet_until):
            self._end = 0.0

    def _renew(self) -> None:
        try:
            if self._file is None:
                self._take(self._ask({}))
            else:
                with self._file.locked(TIMEOUT):
                    self._take(self._ask({"refresh_token": self._refresh_token(self._file)}))
            self._failed = None
        except TokenError as error:
            self._failed = error
            raise
        finally:
            self._quiet_until = time.monotonic() + self.pause

    def _refresh_token(self, file: TokenFile) -> str:
        try:
            return file.read()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise TokenError(f"no refresh token in {file.path}: {why}") from error

    def _take(self, answer: Mapping[str, object]) -> None:
        token, kind = answer.get("access_token"), answer.get("token_type", "bearer")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise TokenError(f"{self._client.url} answered without an access token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise TokenError(f"{self._client.url} gives tokens of a type that is not Bearer")
        lifetime = _lifetime(answer.get("expires_in"))
        self._token, self._worked = token, False
        self._end = time.monotonic() + lifetime - min(MARGIN, lifetime / 10)
        rotated = answer.get("refresh_token")
        if self._file is not None and isinstance(rotated, str) and _TOKEN.fullmatch(rotated):
            self._keep(self._file, rotated)

    def _keep(self, file: TokenFile, rotated: str) -> None:
        try:
            file.write(rotated)
            self.complaint = ""
        except OSError as error:
            self.complaint = (
                f"the new refresh token can not be written to {file.path} ({error.strerror}): "
                "it is lost when this server stops"
            )

    def _ask(self, more: Mapping[str, str]) -> dict[str, object]:
        """The JSON object of a successful answer."""
        client = self._client
        form = {"grant_type": client.grant, "client_id": client.client_id}
        if client.client_secret:
            form["client_secret"] = client.client_secret
        if client.scope:
            form["scope"] = client.scope
        status, body = post(endpoint(client.url), urlencode({**form, **more}).encode())
        answer = json_object(body)
        if status != 200:
            raise TokenError(self._why(status, answer, more))
        return answer

    def _why(self, status: int, answer: Mapping[str, object], sent: Mapping[str, str]) -> str:
        """One line for the operator: what the provider said (RFC 6749 5.2), and what to do."""
        error, description = answer.get("error"), answer.get("error_description")
        if not isinstance(error, str) or not _ERROR.fullmatch(error):
            return f"{self._client.url} answered {status}, no access token"
        text = f"{self._client.url} gives no access token: {error}"
        if isinstance(description, str):
            text += f" ({_harmless(description, (self._client.client_secret, *sent.values()))})"
        return text + self._remedy(error)

    def _remedy(self, error: str) -> str:
        if error == "invalid_grant" and self._file is not None:
            return f"; get a new refresh token and write it to {self._file.path}"
        if error in ("invalid_client", "unauthorized_client", "invalid_grant"):
            return "; check the client id, its secret, and what it is allowed to do"
        return "; check the scope" if error == "invalid_scope" else ""


def _lifetime(value: object) -> float:
    """expires_in in seconds; some providers write it as a string."""
    try:
        seconds = (
            float(value) if isinstance(value, int | float | str) and value is not True else DEFAULT_LIFETIME
        )
    except (ValueError, OverflowError):
        return DEFAULT_LIFETIME
    return min(max(seconds, 0.0), MAX_LIFETIME) if math.isfinite(seconds) else DEFAULT_LIFETIME


def _harmless(text: str, secrets: tuple[str, ...]) -> str:
    """What a provider says, as it may stand in a log line."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    text = "".join(char if char.isprintable() else " " for char in text[:300])
    return " ".join(text.split())
