"""TLS settings for connections that we open."""

from __future__ import annotations

import ssl
from functools import lru_cache


@lru_cache(maxsize=16)
def client_context(verify: bool, cafile: str = "") -> ssl.SSLContext:
    """The settings for a next hop; the same object for the same arguments, as loading authorities takes milliseconds.

    verify: the certificate must be valid and name the host. Without it any certificate will do: that is opportunistic
    TLS (RFC 7435), which keeps out those who only listen. cafile: PEM file of trusted authorities instead of the system's.
    """
    context = ssl.create_default_context(cafile=cafile or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
