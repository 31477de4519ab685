"""The TLS handshake with a next hop, and what its certificate must prove."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mta.net.dane import authenticate
from mta.net.smtp_errors import Timeouts, TlsFailed
from mta.net.smtp_starttls import BY_CONFIGURATION
from mta.net.tls_client import default_client
from mta.net.tls_security import TlsFault, TlsOutcome, TlsSecurity

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.smtp_dialogue import Dialogue
    from mta.net.tls_client import ClientTlsLayer

_OLD = ("TLSv1", "TLSv1.1")


def shake_hands(dialogue: Dialogue, hop: NextHop, timeouts: Timeouts, cafile: str) -> TlsOutcome:
    """Do the handshake that the peer waits for, and look at its certificate. Raises TlsFailed."""
    security = hop.security or TlsSecurity(proof="pkix" if hop.tls == "required" else "none")
    hosts = security.names or (hop.name,)
    client = default_client(cafile) if cafile or security.client is None else security.client
    layer = client.layer(hosts[0])
    dialogue.start_tls(layer, hosts[0], timeouts.tls)
    outcome = replace(judge(layer, security, hosts), version=layer.version, cipher=layer.cipher)
    _note(dialogue, hop, layer, outcome)
    if security.proof != "none" and not outcome.verified:
        fault = outcome.fault or TlsFault("validation-failure", "not verified")
        raise TlsFailed(_unproven(hop, security, fault), "verify", fault.kind)
    return outcome


def judge(layer: ClientTlsLayer, security: TlsSecurity, hosts: tuple[str, ...]) -> TlsOutcome:
    """What the host has proved, by the proof that is asked for; where none is, PKIX is tried all the same."""
    if security.proof == "dane":
        proved = authenticate(layer.chain, security.tlsa, hosts)
        if isinstance(proved, TlsFault):
            return TlsOutcome(True, False, "none", proved)
        return TlsOutcome(True, True, proved)
    fault = layer.fault(hosts)
    if fault is None and security.modern and layer.version in _OLD:
        fault = TlsFault("validation-failure", f"{layer.version} is too old")  # RFC 8461 4.2
    if fault is not None:
        return TlsOutcome(True, False, "none", fault)
    return TlsOutcome(True, True, "sts" if security.by == "sts" else "pkix")


def _unproven(hop: NextHop, security: TlsSecurity, fault: TlsFault) -> str:
    if security.by == BY_CONFIGURATION:
        return f"{hop.name}: Host failed TLS verification required by configuration. ({fault})"
    by = {"dane": "DANE", "sts": "the MTA-STS policy of its domain"}.get(security.by, "")
    return f"{hop.name} could not be verified{f', which {by} requires' if by else ''}: {fault}"


def _note(dialogue: Dialogue, hop: NextHop, layer: ClientTlsLayer, outcome: TlsOutcome) -> None:
    if dialogue.logger is None:
        return
    fields: dict[str, object] = {
        "host": hop.name,
        "verified": outcome.verified,
        "by": outcome.by,
        "cipher": layer.cipher,
        "version": layer.version,
    }
    if outcome.fault is not None:
        fields["error"] = outcome.fault.reason
    dialogue.logger.info("secured", fields, origin="outbound", uuid=dialogue.uuid)
