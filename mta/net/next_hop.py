"""Where a message goes next: one host, how to reach it and how to behave there."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from mta.net.ip import parse_ip
from mta.record import record

if TYPE_CHECKING:
    from mta.net.oauth import TokenSource
    from mta.net.tls_security import TlsSecurity

TlsPolicy = Literal["opportunistic", "required", "off"]

SMTP_PORT = 25
SMTPS_PORT = 465  # RFC 8314 3.3
LMTP_PORT = 24
SMTPS_PORT = 465
_PORTS = {"smtp": SMTP_PORT, "smtps": SMTPS_PORT, "lmtp": LMTP_PORT}
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?\Z")


class NextHopError(ValueError):
    """A text that names no next hop."""


@record
class NextHop:
    """One candidate for a delivery.

    host: name or address, without brackets; from_dns: the name the address was found by, which a certificate is checked
    against; path: a unix socket instead of host and port; bind: source address; bind_helo: what we call ourselves there;
    auth_type: the SASL mechanism, else the best one offered; token: gives access tokens, which are used instead of a
    password; tls: STARTTLS when offered, always and with a certificate that proves the name (unless `security` asks for
    another proof), or never; implicit_tls: TLS before the banner; security: what a policy asks of this host.
    """

    host: str
    port: int = SMTP_PORT
    priority: int = 0
    bind: str | None = None
    bind_helo: str | None = None
    using_lmtp: bool = False
    path: str | None = None
    auth_user: str | None = None
    auth_pass: str | None = field(default=None, repr=False)
    auth_type: str | None = None
    from_dns: str | None = None
    tls: TlsPolicy = "opportunistic"
    implicit_tls: bool = False
    security: TlsSecurity | None = field(default=None, repr=False)
    token: TokenSource | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str, *, priority: int = 0, tls: TlsPolicy = "opportunistic") -> NextHop:
        """Read `smtp://user:pass@host:port`, `lmtp://host`, `lmtp:///path`, `host:port`, `[v6]:port`, an address or a name.

        `smtps://host` is TLS from the start with a certificate that must prove the name, on port 465 (RFC 8314). Raises NextHopError, which never shows the password.
        """
        text = text.strip()
        parts = _split(text)
        if parts is None:
            raise NextHopError(f"not a next hop: {_without_password(text)!r}")
        implicit = parts.scheme == "smtps"
        return cls(
            host=(parts.hostname or "").rstrip("."),
            port=parts.port or _PORTS[parts.scheme],
            priority=priority,
            using_lmtp=parts.scheme == "lmtp",
            path=parts.path if not parts.netloc else None,
            auth_user=_decoded(parts.username),
            auth_pass=_decoded(parts.password),
            tls="required" if implicit else tls,
            implicit_tls=implicit,
        )

    @property
    def name(self) -> str:
        """What a certificate must name: the host name if we know one, else the address."""
        return self.from_dns or self.host

    @property
    def pool_key(self) -> tuple[object, ...]:
        """Equal for hops that may share a connection: everything but the priority."""
        return (
            self.host,
            self.port,
            self.path,
            self.bind,
            self.bind_helo,
            self.using_lmtp,
            self.auth_user,
            self.auth_pass,
            self.auth_type,
            self.from_dns,
            self.tls,
            self.implicit_tls,
            self.security,
            self.token,
        )

    def __hash__(self) -> int:
        # All fields, as the dataclass would have it, take ten times as long, and these tell most hops apart.
        return hash((self.host, self.port))

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _split(text: str) -> SplitResult | None:
    """The parts of the URL that text is, or is short for; None when it names no next hop."""
    if not text.isprintable() or " " in text:
        return None  # urlsplit() would silently take line ends out
    if "://" not in text:
        text = f"smtp://[{text}]" if ":" in text and parse_ip(text) else f"smtp://{text}"
    try:
        parts = urlsplit(text)
        return parts if _names_a_hop(parts) else None
    except ValueError:
        return None


def _names_a_hop(parts: SplitResult) -> bool:
    if parts.scheme not in _PORTS or parts.query or parts.fragment:
        return False
    if not parts.netloc:
        return len(parts.path) > 1 and parts.scheme != "smtps"
    host = parts.hostname or ""
    in_range = parts.port is None or parts.port > 0  # the property raises ValueError above 65535
    return in_range and parts.path in ("", "/") and (parse_ip(host) is not None or bool(_NAME.match(host)))


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _without_password(text: str) -> str:
    scheme, separator, rest = text.rpartition("://")
    return f"{scheme}{separator}***@{rest.rpartition('@')[2]}" if "@" in rest else text
