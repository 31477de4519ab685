"""What a host must prove before mail goes to it, and what came of that."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal, TypeAlias

from mta.record import record

if TYPE_CHECKING:
    from mta.net.tls_client import TlsClient
    from mta.net.tlsa import Tlsa

Proof: TypeAlias = Literal["none", "pkix", "dane"]
PolicyType: TypeAlias = Literal["tlsa", "sts", "no-policy-found"]


@record
class TlsFault:
    """Why TLS is not what it should be. kind: the word of RFC 8460 4.3; reason: one line for people."""

    kind: str
    reason: str

    def __str__(self) -> str:
        return self.reason


@record
class PolicyFacts:
    """The policy that a host was held to, as a report names it (RFC 8460 4.4)."""

    policy_type: PolicyType = "no-policy-found"
    strings: tuple[str, ...] = ()
    domain: str = ""
    mx_patterns: tuple[str, ...] = ()


@record
class TlsSecurity:
    """What a policy asks of one host, beyond NextHop.tls, which says whether there must be TLS at all.

    proof: what the certificate must prove, when there is TLS. names: of the host, the first is the one to ask for (SNI);
    none: the hop's own. tlsa: the records for "dane". objection: why nothing may be sent there at all. by: whose policy
    this is, for the log. modern: TLS 1.2 at least. watched: an objection, or a certificate that proves nothing, is no
    reason to keep the mail, only to report it. client: our side of TLS.
    """

    proof: Proof = "none"
    names: tuple[str, ...] = ()
    tlsa: tuple[Tlsa, ...] = ()
    objection: TlsFault | None = None
    modern: bool = False
    client: TlsClient | None = None
    by: str = field(default="", compare=False)
    watched: bool = field(default=False, compare=False)
    facts: PolicyFacts = field(default=PolicyFacts(), compare=False)


@record
class TlsOutcome:
    """What came of TLS at one connection.

    verified: the certificate proved the host's name; by: what proved it, pkix, sts, dane-ee, dane-ta, or none;
    fault: why it did not, or why there is no TLS. version, cipher: what was agreed on, "" in clear.
    """

    secured: bool = False
    verified: bool = False
    by: str = "none"
    fault: TlsFault | None = None
    version: str = field(default="", compare=False)
    cipher: str = field(default="", compare=False)
