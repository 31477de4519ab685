"""TLS for those who connect to us: holds what is needed for a handshake, and keeps it fresh while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mta.config.problem import ConfigError
from mta.config.schema import TlsSettings
from mta.net.tls_files import DIRECTORY, is_set_up, named_files

if TYPE_CHECKING:
    from mta.config import Config
    from mta.logger import Logger
    from mta.net.tls_material import Material
    from mta.net.tls_server_layer import ServerTlsLayer
    from mta.net.tls_sessions import TlsSessions

ORIGIN = "tls"


class TlsServer:
    """Makes the server's end of TLS sessions. Changed files are read again as soon as `config` follows them.

    What is wrong with files is logged at ERROR; a change that leaves no usable certificate, or names
    authorities that can't be read, changes nothing; at the start nobody is believed then.
    """

    def __init__(self, config: Config, logger: Logger) -> None:
        self._config = config
        self._logger = logger
        self._followed: set[str] = set()
        self._sessions: TlsSessions | None = None
        self._settings = config.settings(TlsSettings, on_change=self._on_settings)
        config.named(TlsSettings, on_change=self._on_files)
        config.get_dir(DIRECTORY, on_change=self._on_files)
        self._load()

    @property
    def usable(self) -> bool:
        """True when there is a certificate, so that TLS can be offered."""
        return self._sessions is not None

    def layer(self, port: int, ip: str = "") -> ServerTlsLayer:
        """A new session for a client that came from `ip` to `port`. Raises OSError when there is no usable certificate."""
        if self._sessions is None:
            raise OSError("there is no usable certificate")
        return self._sessions.layer(self._settings, port, ip)

    def fits(self, layer: ServerTlsLayer, ip: str) -> bool:
        """False when clients from `ip` need a certificate for certain names, and that of this session has none of them."""
        return self._sessions is not None and self._sessions.fits(self._settings, layer, ip)

    def verified(self, layer: ServerTlsLayer) -> bool:
        """True when the client has a certificate that could be verified. Once for each session, after the handshake.

        Raises OSError when one was necessary.
        """
        return self._sessions is not None and self._sessions.verified(layer)

    # -- the files ----------------------------------------------------------------------------------------------------

    def _on_settings(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._load()

    def _on_files(self, _: Any) -> None:
        self._load()

    def _load(self) -> None:
        self._follow()
        if not self.usable and not is_set_up(self._config):
            return
        from mta.net.tls_material import read_material

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
        # With cryptography and pyOpenSSL; a server without certificates starts without them.
        from mta.net.tls_sessions import TlsSessions

        self._sessions = TlsSessions(material, self._settings)
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
