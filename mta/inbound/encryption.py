"""The session goes over to TLS: at once on the ports of smtps_port, after STARTTLS elsewhere (RFC 3207, RFC 8314)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.logger import INFO, NOTICE
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.inbound.session import Session
    from mta.net.tls_server_layer import ServerTlsLayer

GO_AHEAD = Reply(220, "Go ahead.", "2.0.0")
NOT_YOURS = Reply(554, "Command refused due to lack of security", "5.7.1")  # RFC 3207 4.1: to every command
HANDSHAKE_SECONDS = 30


def start(session: Session) -> None:
    """Answer STARTTLS, do the handshake, forget what was said before. Raises OSError, EOFError: the session is over."""
    session.reply(GO_AHEAD)
    secure(session)
    forget(session)


def forget(session: Session) -> None:
    """What was said in clear may have been said by anybody (RFC 3207 4.2)."""
    session.reset_transaction()
    connection = session.connection
    connection.hello.verb = connection.hello.host = ""
    connection.esmtp = False
    connection.capabilities = []
    connection.tls.advertised = False


def secure(session: Session, *, keep_input: bool = False) -> None:
    """Do the handshake as the server. Raises OSError or EOFError; then the wire is closed, and the log says why.

    keep_input: what has arrived already belongs to the handshake.
    """
    try:
        layer, verified = _handshake(session, keep_input)
    except BaseException as error:
        # Nothing that could be said now would be understood: the client expects TLS.
        session.wire.close()
        if isinstance(error, EOFError | OSError):
            _log_failure(session, error)
        raise
    _note(session, layer, verified)
    if session.service.tls is not None and not session.service.tls.fits(layer, session.connection.remote.ip):
        session.connection.lognotice("the client's certificate has none of the names in [authorized_hosts]")
        session.refuse_commands(NOT_YOURS)


def _handshake(session: Session, keep_input: bool) -> tuple[ServerTlsLayer, bool]:
    server, wire = session.service.tls, session.wire
    if server is None:
        raise OSError("there is no certificate")
    layer = server.layer(session.connection.local.port, session.connection.remote.ip)
    timeout = wire.timeout
    wire.timeout = min(timeout, HANDSHAKE_SECONDS)
    wire.secure(layer, keep_input=keep_input)
    wire.timeout = timeout
    return layer, server.verified(layer)


def _note(session: Session, layer: ServerTlsLayer, verified: bool) -> None:
    tls = session.connection.tls
    tls.enabled = True
    tls.cipher, tls.version = layer.cipher, layer.version
    tls.verified = verified
    tls.session = layer
    if session.service.logger.level >= INFO:
        session.connection.loginfo("secured:", _fields(layer, verified))


def _fields(layer: ServerTlsLayer, verified: bool) -> dict[str, object]:
    fields: dict[str, object] = {"cipher": layer.cipher, "version": layer.version, "verified": verified}
    if layer.server_name:
        fields["servername"] = layer.server_name
    certificate = layer.peer_certificate
    if certificate is not None:
        if not verified and layer.verdict.error:
            fields["error"] = layer.verdict.reason
        fields["subject"] = certificate.subject.rfc4514_string()
        fields["issuer"] = certificate.issuer.rfc4514_string()
        fields["expires"] = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    return fields


def _log_failure(session: Session, error: Exception) -> None:
    if session.service.logger.level >= NOTICE:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        session.connection.lognotice("TLS handshake failed", {"error": said})
