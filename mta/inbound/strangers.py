"""Clients that speak something other than SMTP: they are told so and hung up on before they do harm (ALPACA)."""

from __future__ import annotations

import re

from mta.smtp.reply import Reply

TLS_ON_PLAIN_PORT = Reply(501, "SSL attempted over a non-SSL socket", "5.5.1", close=True)
HTTP_ON_SMTP_PORT = Reply(421, "This is an SMTP server, not an HTTP server", "4.7.0", close=True)

# RFC 8446 5.1: a record of type handshake (22), legacy version 3.x; no SMTP command begins like that.
CLIENT_HELLO = b"\x16\x03"

# RFC 9112 3: request-line = method SP request-target SP HTTP-version
_REQUEST = re.compile(rb"[A-Z]{3,16} \S+ HTTP/[0-9.]+ *")


def may_be_tls(data: bytes) -> bool:
    """True while the first bytes of a connection are those of a TLS client, or too few to tell."""
    return CLIENT_HELLO.startswith(data[:2])


def is_http(line: bytes) -> bool:
    """True for the first line of an HTTP request."""
    return _REQUEST.fullmatch(line) is not None
