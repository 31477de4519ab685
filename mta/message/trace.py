"""Trace fields (RFC 5321 4.4): the Received line of this server, and the values of Date and Message-Id."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mta.message.header import Header

AUTHENTICATION_RESULTS = "Authentication-Results"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def received_field(
    *,
    hello_host: str,
    remote_info: str,
    me: str,
    local_info: str,
    protocol: str,
    uuid: str,
    mail_from: str,
    date: str,
    tls_cipher: str = "",
    auth: str = "",
) -> str:
    """The value of the Received field of a message that came in by SMTP, folded, without CRLF at its end.

    remote_info is what is known of the client, `rdns [ip]` or `[ip]`; local_info the name and version of this server;
    mail_from the reverse-path in angle brackets; auth a comment such as `(authenticated bits=0)`.
    """
    tls = f"\r\n\ttls {tls_cipher}" if tls_cipher else ""
    auth = f" {auth}" if auth else ""
    return (
        f"from {hello_host} ({remote_info})\r\n\tby {me} ({local_info}) with {protocol} id {uuid}"
        f"\r\n\tenvelope-from {mail_from}{tls}{auth};\r\n\t{date}"
    )


def protocol(esmtp: bool, tls: bool, authenticated: bool) -> str:
    """The transmission type of the session by RFC 3848: ESMTP after EHLO, S for TLS, A for AUTH."""
    return ("ESMTP" if esmtp else "SMTP") + ("S" if tls else "") + ("A" if authenticated else "")


def remote_info(host: str | None, ip: str) -> str:
    """The client in a Received field: `name [ip]`, or `[ip]` when no name is known."""
    return f"{host} [{ip}]" if host else f"[{ip}]"


def authentication_results(me: str, results: Sequence[str]) -> str:
    """The value of an Authentication-Results field of this server (RFC 8601), folded; "" when there is nothing to say."""
    return ";\r\n\t".join((me, *results)) if results else ""


def take_over_results(header: Header) -> None:
    """Call the results that a message came with original ones: nobody shall take what others wrote for ours (RFC 8601 5)."""
    if header.has(AUTHENTICATION_RESULTS):
        header.rename(AUTHENTICATION_RESULTS, f"Original-{AUTHENTICATION_RESULTS}")


def message_id(uuid: str, me: str) -> str:
    """A Message-Id for a message that came without one."""
    return f"<{uuid}@{me}>"


def date_to_str(timestamp: float) -> str:
    """Seconds since 1970 as RFC 5322 3.3 writes them, in the local zone: `Sun, 22 Nov 2026 01:21:39 +0000`."""
    return _date(int(timestamp // 1))


@lru_cache(maxsize=8)
def _date(second: int) -> str:
    # strftime would take the names of days and months from the locale.
    local = time.localtime(second)
    sign = "-" if local.tm_gmtoff < 0 else "+"
    hours, minutes = divmod(abs(local.tm_gmtoff) // 60, 60)
    return (
        f"{_DAYS[local.tm_wday]}, {local.tm_mday:02} {_MONTHS[local.tm_mon - 1]} {local.tm_year:04} "
        f"{local.tm_hour:02}:{local.tm_min:02}:{local.tm_sec:02} {sign}{hours:02}{minutes:02}"
    )
