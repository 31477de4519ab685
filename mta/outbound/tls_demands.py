"""How sure we must be of one next hop, from all that anybody asks; pure."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from mta.net.smtp_starttls import BY_CONFIGURATION
from mta.net.tls_security import PolicyFacts, Proof, TlsFault, TlsSecurity
from mta.net.tlsa import DANE_TA
from mta.outbound.dane import ABSENT, DaneAnswer
from mta.record import record

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.tls_client import TlsClient
    from mta.outbound.sts_policy import StsPolicy


@record
class Demands:
    """All that is asked of one hop. mx: the DNS named it for `domain`, and nobody else; mx_secure: DNSSEC vouches for that.

    client: our side of TLS.
    """

    domain: str = ""
    forced: bool = False
    avoided: bool = False
    verify: bool = False
    require_tls: bool = False
    mx: bool = False
    mx_secure: bool = False
    dane: DaneAnswer = field(default=ABSENT)
    sts: StsPolicy | None = None
    client: TlsClient | None = None


def decide(hop: NextHop, demands: Demands) -> NextHop:
    """The hop with what it must prove. Pure; RFC 7672 2.2, RFC 8461 section 5, RFC 8689 4.2.1."""
    security = replace(_policy(hop, demands), client=demands.client)
    must = demands.forced or demands.require_tls or hop.tls == "required"
    if must:
        by = BY_CONFIGURATION if demands.forced else security.by
        proof: Proof = "dane" if security.proof == "dane" else "pkix"
        return replace(hop, tls="required", security=replace(security, proof=proof, by=by))
    if demands.avoided or hop.tls == "off":
        return replace(hop, tls="off", security=None)
    if security.objection is not None and not security.watched:
        return replace(hop, tls="required", security=security)
    if demands.dane.status != "absent" or (demands.sts is not None and demands.sts.mode == "enforce"):
        return replace(hop, tls="required", security=security)
    if demands.verify:
        security = replace(security, proof="pkix")
    return replace(hop, security=security)


def _policy(hop: NextHop, demands: Demands) -> TlsSecurity:
    """What the domain asks of its hosts. DANE comes before MTA-STS, which must not weaken it (RFC 8461 section 2)."""
    dane, sts = demands.dane, demands.sts
    if dane.status != "absent":
        return _by_dane(dane, sts, demands.domain)
    if sts is None or sts.mode == "none":
        return TlsSecurity(facts=PolicyFacts(domain=demands.domain if demands.mx else ""))
    facts = PolicyFacts("sts", sts.lines(), demands.domain, sts.mx)
    testing = sts.mode == "testing"
    objection = None
    if not sts.allows(hop.name):
        objection = TlsFault("validation-failure", "the MTA-STS policy of the domain does not list this host")
    return TlsSecurity(
        proof="none" if testing else "pkix",
        objection=objection,
        modern=True,
        watched=testing,
        by="sts",
        facts=facts,
    )


def _by_dane(dane: DaneAnswer, sts: StsPolicy | None, domain: str) -> TlsSecurity:
    facts = PolicyFacts("tlsa", tuple(map(str, dane.records)), dane.base)
    if dane.status == "bogus":
        fault = TlsFault("dnssec-invalid", f"its TLSA records cannot be had: {dane.reason}")
        return TlsSecurity(objection=fault, by="dane", facts=facts)
    if dane.status == "usable":
        names: tuple[str, ...] = (dane.base,)
        if any(record.usage == DANE_TA for record in dane.tlsa):
            names += (domain,)  # RFC 7672 3.2.2: below a trust anchor the name of the domain will do as well
        return TlsSecurity("dane", names, dane.tlsa, by="dane", facts=facts)
    enforced = sts is not None and sts.mode == "enforce"
    return TlsSecurity(
        "pkix" if enforced else "none",
        objection=TlsFault("tlsa-invalid", "SMTP can use none of the TLSA records"),
        watched=True,
        by="dane",
        facts=facts,
    )


def is_vouched_for(hop: NextHop, demands: Demands) -> bool:
    """True when the name of the host is more than hearsay (RFC 8689 4.2.1)."""
    sts = demands.sts
    return demands.mx_secure or (sts is not None and sts.mode != "none" and sts.allows(hop.name))
