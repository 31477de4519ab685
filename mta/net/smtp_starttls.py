"""TLS at a next hop: STARTTLS (RFC 3207) or at once (RFC 8314), and what the certificate must prove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mta.net.smtp_dialogue import refusal
from mta.net.smtp_errors import Rejected, Timeouts, TlsFailed
from mta.net.tls import client_context

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.smtp_dialogue import Dialogue


def encrypt(
    dialogue: Dialogue, hop: NextHop, extensions: Mapping[str, str], timeouts: Timeouts, cafile: str
) -> bool:
    """Encrypt the connection as the hop wants it; False when it stays in clear. extensions: of the EHLO reply.

    Raises TlsFailed, Rejected, ConnectionLost, MalformedReply.
    """
    required = hop.tls == "required"
    if not _agreed(dialogue, hop, extensions, timeouts.hello, required):
        return False
    dialogue.start_tls(client_context(required, cafile), hop.name, timeouts.tls)
    _note_cipher(dialogue, hop, required)
    return True


def encrypt_at_once(dialogue: Dialogue, hop: NextHop, timeouts: Timeouts, cafile: str) -> None:
    """Begin with the handshake, before the peer has said anything. Raises TlsFailed, ConnectionLost."""
    required = hop.tls == "required"
    dialogue.start_tls(client_context(required, cafile), hop.name, timeouts.tls)
    _note_cipher(dialogue, hop, required)


def _agreed(
    dialogue: Dialogue, hop: NextHop, extensions: Mapping[str, str], timeout: float, required: bool
) -> bool:
    """True when the peer waits for a handshake. Raises TlsFailed when it must, and does not."""
    if "STARTTLS" not in extensions:
        if required:
            raise TlsFailed(f"{hop.name} does not offer STARTTLS, which is required", "starttls")
        return False
    reply = dialogue.ask("STARTTLS", "starttls", timeout)
    if reply.kind == 2:
        return True
    if required:
        raise TlsFailed(f"{hop.name} refused STARTTLS, which is required: {reply}", "starttls")
    if dialogue.farewell is not None:
        raise Rejected(refusal(reply), "starttls")
    return False


def _note_cipher(dialogue: Dialogue, hop: NextHop, verified: bool) -> None:
    tls = dialogue.wire.tls
    if dialogue.logger is None or tls is None:
        return
    cipher = tls.cipher()
    fields = {
        "host": hop.name,
        "verified": verified,
        "cipher": cipher[0] if cipher else "",
        "version": tls.version(),
    }
    dialogue.logger.info("secured", fields, origin="outbound", uuid=dialogue.uuid)
