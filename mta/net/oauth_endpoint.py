"""One request to the token endpoint of an OAuth 2.0 provider."""

from __future__ import annotations

import json
import time
from urllib.parse import SplitResult, urlsplit

from mta.net.ip import parse_ip

TIMEOUT = 30.0  # seconds for each step of a request
MAX_RESPONSE = 65536  # bytes


class TokenError(Exception):
    """There is no access token; the text is one line that says why, what can be done, and no secret."""


def endpoint(url: str) -> SplitResult:
    """The parts of a URL that tokens may be asked for at: https, or http to this machine. Raises ValueError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    address = parse_ip(host)
    here = host == "localhost" or (address is not None and address.is_loopback)
    if not (url.isascii() and url.isprintable()) or " " in url or not host or parts.username is not None:
        raise ValueError(f"not the URL of a token endpoint: {url.rpartition('@')[2]!r}")
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise ValueError("a token endpoint is reached by https, or by http on this machine")
    if parts.port == 0:
        raise ValueError("a token endpoint has no port 0")
    return parts


def post(target: SplitResult, form: bytes) -> tuple[int, bytes]:
    """Status and body, which is cut when it is too long. Raises TokenError."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    kind = HTTPSConnection if target.scheme == "https" else HTTPConnection
    connection = kind(target.hostname or "", target.port, timeout=TIMEOUT)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "Connection": "close",
    }
    try:
        connection.request("POST", path, form, headers)
        response = connection.getresponse()
        end = time.monotonic() + TIMEOUT
        body = b""
        while len(body) < MAX_RESPONSE and (data := response.read1(MAX_RESPONSE)):
            body += data
            if time.monotonic() > end:
                raise TimeoutError("timed out")
        return response.status, body
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a host name that can be none
        why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise TokenError(
            f"no access token, {target.netloc} can not be asked: {' '.join(why.split())}"
        ) from error
    finally:
        connection.close()


def json_object(body: bytes) -> dict[str, object]:
    """What the provider said; empty when it is no JSON object."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
