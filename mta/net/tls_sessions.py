"""The TLS sessions of those who connect to us, made of one state of the certificates and tls.ini."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from mta.net.certificates import names_in
from mta.net.ip import ip_in_list
from mta.net.tls_contexts import Contexts, Demand
from mta.net.tls_server_layer import ServerTlsLayer

if TYPE_CHECKING:
    from mta.config.schema import TlsSettings
    from mta.net.tls_material import Material

_REMEMBERED = 10_000


class TlsSessions:
    """Makes the server's end of sessions, and judges the certificates of clients."""

    def __init__(self, material: Material, settings: TlsSettings) -> None:
        demands = {
            Demand.AS_SET: True,
            Demand.ALWAYS: settings.require_authorized or settings.authorized_hosts,
            Demand.NEVER: settings.authorized_hosts_exclude,
        }
        args = (material.options, material.pairs, material.defaults, material.sites)
        self._contexts = {demand: Contexts(*args, demand) for demand, needed in demands.items() if needed}
        self._verified: set[tuple[str, bytes]] = set()

    def layer(self, settings: TlsSettings, port: int, ip: str = "") -> ServerTlsLayer:
        """A new session for a client that came from `ip` to `port`. Raises OSError when there is no usable certificate."""
        contexts = self._contexts.get(_demand(settings, port, ip))
        if contexts is None:
            raise OSError("there is no usable certificate")
        return ServerTlsLayer(contexts)

    def fits(self, settings: TlsSettings, layer: ServerTlsLayer, ip: str) -> bool:
        """False when clients from `ip` need a certificate for certain names, and that of this session has none of them."""
        if ip_in_list(ip, settings.authorized_hosts_exclude):
            return True
        lists = [names for host, names in settings.authorized_hosts.items() if ip_in_list(ip, (host,))]
        wanted = {name.lower() for names in lists for name in names}
        certificate = layer.peer_certificate
        return not wanted or (certificate is not None and not wanted.isdisjoint(names_in(certificate)))

    def verified(self, layer: ServerTlsLayer) -> bool:
        """True when the client has a certificate that could be verified. Once for each session, after the handshake.

        In a session that is resumed the certificate is the one it began with, and what became of it then still counts,
        for the same server name: another may have other authorities. Raises OSError when one was necessary.
        """
        verified = self._is_verified(layer)
        if layer.verdict.choice.insists and not verified:
            raise OSError("the client has no certificate that can be verified")
        return verified

    def _is_verified(self, layer: ServerTlsLayer) -> bool:
        certificate = layer.peer_certificate
        if certificate is None:
            return False
        fingerprint = layer.verdict.choice.scope, certificate.fingerprint(hashes.SHA256())
        if not layer.verdict.asked:
            return fingerprint in self._verified
        if layer.verdict.error:
            return False
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified.add(fingerprint)
        return True


def _demand(settings: TlsSettings, port: int, ip: str) -> Demand:
    if ip_in_list(ip, settings.authorized_hosts_exclude):
        return Demand.NEVER
    if port in settings.require_authorized or ip_in_list(ip, settings.authorized_hosts):
        return Demand.ALWAYS
    return Demand.AS_SET
