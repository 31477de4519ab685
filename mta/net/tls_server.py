"""TLS for those who connect to us: holds what is needed for a handshake, and keeps it fresh while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes

from mta.config.problem import ConfigError
from mta.config.schema import TlsSettings
from mta.net.tls_contexts import Contexts
from mta.net.tls_material import DIRECTORY, Material, named_files, read_material
from mta.net.tls_server_layer import ServerTlsLayer

if TYPE_CHECKING:
    from mta.config import Config
    from mta.logger import Logger

ORIGIN = "tls"
_REMEMBERED = 10_000


class TlsServer:
    """Makes the server's end of TLS sessions. Changed files are read again as soon as `config` follows them.

    What is wrong with files is logged at ERROR; a change that leaves no usable certificate changes nothing.
    """

    def __init__(self, config: Config, logger: Logger) -> None:
        self._config = config
        self._logger = logger
        self._followed: set[str] = set()
        self._asking: Contexts | None = None
        self._insisting: Contexts | None = None
        self._verified: set[bytes] = set()
        self._settings = config.settings(TlsSettings, on_change=self._on_settings)
        config.get_dir(DIRECTORY, on_change=self._on_files)
        self._load()

    @property
    def usable(self) -> bool:
        """True when there is a certificate, so that TLS can be offered."""
        return self._asking is not None

    def layer(self, port: int) -> ServerTlsLayer:
        """A new session for a client that came to `port`. Raises OSError when there is no usable certificate."""
        settings = self._settings
        insists = settings.reject_unauthorized or port in settings.require_authorized
        contexts = self._insisting if insists else self._asking
        if contexts is None:
            raise OSError("there is no usable certificate")
        return ServerTlsLayer(contexts.default)

    def verified(self, layer: ServerTlsLayer) -> bool:
        """True when the client has a certificate that could be verified. Once for each session, after the handshake.

        In a session that is resumed the certificate is the one it began with, and what became of it then still counts.
        """
        certificate = layer.peer_certificate
        if certificate is None:
            return False
        fingerprint = certificate.fingerprint(hashes.SHA256())
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
        if material.pairs:
            self._use(material)
        elif self.usable:
            self._logger.error("no usable certificate any more: going on with the last ones", origin=ORIGIN)

    def _use(self, material: Material) -> None:
        reloading = self.usable
        args = (material.options, material.pairs, material.defaults)
        settings = self._settings
        self._asking = Contexts(*args, insist=False)
        insists = settings.reject_unauthorized or settings.require_authorized
        self._insisting = Contexts(*args, insist=True) if insists else None
        self._verified = set()
        if reloading:
            names = sorted({name for pair in material.pairs for name in pair.names})
            self._logger.notice("certificates read again", {"names": names}, origin=ORIGIN)

    def _follow(self) -> None:
        """Follow the files that tls.ini names by now."""
        for name in named_files(self._settings):
            if name not in self._followed:
                self._followed.add(name)
                try:
                    self._config.get(name, "binary", on_change=self._on_files)
                except ConfigError:
                    continue  # a name that leaves the directory: read_material says so
