"""TLS for those who connect to us: holds what is needed for a handshake, and keeps it fresh while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes

from mta.config.problem import ConfigError
from mta.config.schema import TlsSettings
from mta.net.certificates import names_in
from mta.net.ip import ip_in_list
from mta.net.tls_contexts import Contexts, Demand
from mta.net.tls_material import DIRECTORY, Material, named_files, read_material
from mta.net.tls_server_layer import ServerTlsLayer

if TYPE_CHECKING:
    from mta.config import Config
    from mta.logger import Logger

ORIGIN = "tls"
_REMEMBERED = 10_000


class TlsServer:
    """Makes the server's end of TLS sessions. Changed files are read again as soon as `config` follows them.

    What is wrong with files is logged at ERROR; a change that leaves no usable certificate, or names
    authorities that can't be read, changes nothing; at the start nobody is believed then.
    """

    def __init__(self, config: Config, logger: Logger) -> None:
        self._config = config
        self._logger = logger
        self._followed: set[str] = set()
        self._contexts: dict[Demand, Contexts] = {}
        self._verified: set[tuple[str, bytes]] = set()
        self._settings = config.settings(TlsSettings, on_change=self._on_settings)
        config.named(TlsSettings, on_change=self._on_files)
        config.get_dir(DIRECTORY, on_change=self._on_files)
        self._load()

    @property
    def usable(self) -> bool:
        """True when there is a certificate, so that TLS can be offered."""
        return bool(self._contexts)

    def layer(self, port: int, ip: str = "") -> ServerTlsLayer:
        """A new session for a client that came from `ip` to `port`. Raises OSError when there is no usable certificate."""
        contexts = self._contexts.get(self._demand(port, ip))
        if contexts is None:
            raise OSError("there is no usable certificate")
        return ServerTlsLayer(contexts)

    def _demand(self, port: int, ip: str) -> Demand:
        settings = self._settings
        if ip_in_list(ip, settings.authorized_hosts_exclude):
            return Demand.NEVER
        if port in settings.require_authorized or ip_in_list(ip, settings.authorized_hosts):
            return Demand.ALWAYS
        return Demand.AS_SET

    def fits(self, layer: ServerTlsLayer, ip: str) -> bool:
        """False when clients from `ip` need a certificate for certain names, and that of this session has none of them."""
        if ip_in_list(ip, self._settings.authorized_hosts_exclude):
            return True
        lists = [names for host, names in self._settings.authorized_hosts.items() if ip_in_list(ip, (host,))]
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

    # -- the files ----------------------------------------------------------------------------------------------------

    def _on_settings(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._load()

    def _on_files(self, _: Any) -> None:
        self._load()

    def _load(self) -> None:
        self._follow()
        material = read_material(self._config, self._settings)
        for problem in material.problems:
            self._logger.error(str(problem), origin=ORIGIN)
        if self.usable and not material.pairs:
            self._logger.error("no usable certificate any more: going on with the last ones", origin=ORIGIN)
        elif self.usable and material.lacks_authorities:
            self._logger.error("TLS goes on as it was until the authorities can be read", origin=ORIGIN)
        elif material.pairs:
            self._use(material)

    def _use(self, material: Material) -> None:
        reloading = self.usable
        settings = self._settings
        demands = {
            Demand.AS_SET: True,
            Demand.ALWAYS: settings.require_authorized or settings.authorized_hosts,
            Demand.NEVER: settings.authorized_hosts_exclude,
        }
        args = (material.options, material.pairs, material.defaults, material.sites)
        self._contexts = {demand: Contexts(*args, demand) for demand, needed in demands.items() if needed}
        self._verified = set()
        if reloading:
            names = sorted({name for pair in material.pairs for name in pair.names})
            self._logger.notice("certificates read again", {"names": names}, origin=ORIGIN)

    def _follow(self) -> None:
        """Follow the files that tls.ini names by now."""
        for name in named_files(self._settings, *self._config.named(TlsSettings).values()):
            if name not in self._followed:
                self._followed.add(name)
                try:
                    self._config.get(name, "binary", on_change=self._on_files)
                except ConfigError:
                    continue  # a name that leaves the directory: read_material says so
