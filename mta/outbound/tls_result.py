"""What came of TLS at one MX, in the terms of SMTP TLS reporting (RFC 8460)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mta.net.tls_security import PolicyType
from mta.record import record


@record
class TlsResult:
    """One session with an MX, or one policy that could not be had (receiving_mx is "" then).

    domain: of the recipients; policy_type, policy_strings, policy_domain, mx_patterns: as in RFC 8460 4.4, policy_strings
    being TLSA records or lines of the STS policy; result_type: None for success, else a word of RFC 8460 4.3;
    failure_reason: one line for people, "" for success.
    """

    domain: str
    policy_type: PolicyType
    policy_strings: tuple[str, ...]
    policy_domain: str
    mx_patterns: tuple[str, ...]
    result_type: str | None
    receiving_mx: str
    receiving_ip: str
    failure_reason: str


OnTlsResult: TypeAlias = Callable[[TlsResult], None]
