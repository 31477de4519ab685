"""TLS at a next hop (RFC 3207, RFC 8314): whether to ask for it, and what it means when there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mta.net.smtp_dialogue import refusal
from mta.net.smtp_errors import Rejected, Timeouts, TlsFailed
from mta.net.tls_security import TlsFault, TlsOutcome

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.smtp_dialogue import Dialogue

NOT_OFFERED = "starttls-not-supported"  # RFC 8460 4.3.1
BY_CONFIGURATION = "configuration"


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
    # Here, as it brings cryptography and pyOpenSSL, a tenth of a start; a server loads them when it serves already.
    from mta.net.smtp_handshake import shake_hands

    return shake_hands(dialogue, hop, timeouts, cafile)


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
