"""TLS at a next hop (RFC 3207, RFC 8314): whether to ask for it, and what the certificate must prove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mta.net.dane import authenticate
from mta.net.smtp_dialogue import refusal
from mta.net.smtp_errors import Rejected, Timeouts, TlsFailed
from mta.net.tls_client import default_client
from mta.net.tls_security import TlsFault, TlsOutcome, TlsSecurity

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.smtp_dialogue import Dialogue
    from mta.net.tls_client import ClientTlsLayer

NOT_OFFERED = "starttls-not-supported"  # RFC 8460 4.3.1
BY_CONFIGURATION = "configuration"
_OLD = ("TLSv1", "TLSv1.1")


def refuse(hop: NextHop) -> None:
    """Raise TlsFailed when a policy has found out already that nothing may be sent to this host."""
    if hop.security is not None and hop.security.objection is not None and not hop.security.watched:
        fault = hop.security.objection
        raise TlsFailed(f"{hop.name}: {fault}", "verify", fault.kind)


def may_go_on_in_clear(hop: NextHop, failure: TlsFailed) -> bool:
    """True when the mail may be sent to the host without TLS after this failure.

    Only a handshake that did not come about, and only where nobody asked for more than opportunistic TLS: a certificate
    that was seen and does not do is never answered with less security.
    """
    return hop.tls == "opportunistic" and failure.phase == "tls" and not hop.implicit_tls


def encrypt(
    dialogue: Dialogue, hop: NextHop, extensions: Mapping[str, str], timeouts: Timeouts, cafile: str
) -> TlsOutcome:
    """Do STARTTLS as the hop wants it. extensions: of the EHLO reply; cafile: authorities instead of the usual ones.

    Raises TlsFailed, Rejected, ConnectionLost, MalformedReply.
    """
    missing = _agree(dialogue, hop, extensions, timeouts.hello)
    return TlsOutcome(fault=missing) if missing else secure(dialogue, hop, timeouts, cafile)


def secure(dialogue: Dialogue, hop: NextHop, timeouts: Timeouts, cafile: str) -> TlsOutcome:
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


def _agree(
    dialogue: Dialogue, hop: NextHop, extensions: Mapping[str, str], timeout: float
) -> TlsFault | None:
    """None when the peer waits for a handshake, else why it does not. Raises TlsFailed when it must."""
    required = hop.tls == "required"
    if "STARTTLS" not in extensions:
        if required:
            raise TlsFailed(_not_offered(hop), "starttls", NOT_OFFERED)
        return TlsFault(NOT_OFFERED, f"{hop.name} does not offer STARTTLS")
    reply = dialogue.ask("STARTTLS", "starttls", timeout)
    if reply.kind == 2:
        return None
    if required:
        raise TlsFailed(f"{hop.name} refused STARTTLS, which is required: {reply}", "starttls", NOT_OFFERED)
    if dialogue.farewell is not None:
        raise Rejected(refusal(reply), "starttls")
    return TlsFault(NOT_OFFERED, f"{hop.name} refused STARTTLS: {reply}")


def _not_offered(hop: NextHop) -> str:
    if hop.security is not None and hop.security.by == BY_CONFIGURATION:
        return f"{hop.name}: No TLS available but required by configuration."
    return f"{hop.name} does not offer STARTTLS, which is required"


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
