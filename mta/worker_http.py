"""The HTTP side of a worker: http.ini, and what plugins add."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mta.config.schema import HttpSettings
from mta.http.answer import not_found
from mta.http.site import HttpSite
from mta.http.tls import PORT as HTTPS_PORT
from mta.http.tls import server_context
from mta.processes.errors import StartError

if TYPE_CHECKING:
    import _socket
    import ssl

    from mta.config import Config
    from mta.http.server import HttpServer
    from mta.logger import Logger
    from mta.net.endpoint import Bound

DRAIN_SECONDS = 1.0  # what a browser waits for is no mail


class WorkerHttp:
    """A server on sockets that listen already, which are closed by stop(). Raises StartError when it needs TLS and has none."""

    def __init__(
        self, bound: list[Bound], config: Config, install_dir: Path, logger: Logger, me: str
    ) -> None:
        self._bound = bound
        self.addresses = [sock.getsockname() for _, sock in bound]
        self._server: HttpServer | None = None
        self.site = HttpSite(not_found)  # plugins may add pages that nobody will see
        if not bound:
            return
        # Most servers have no HTTP, and these bring gevent's server and the package email.
        from mta.http.files import Files
        from mta.http.server import HttpServer

        self.site = HttpSite(Files(install_dir / config.settings(HttpSettings).docroot))
        self._server = HttpServer(_with_tls(bound, config), self.site, logger, me)

    def begin(self, add_pages: Callable[[], object]) -> list[str]:
        """Let plugins add their pages, then serve; where."""
        if self._server is not None:
            add_pages()
            self._server.start()
        return [str(endpoint) for endpoint, _ in self._bound]

    def stop(self, seconds: float = 0.0) -> None:
        """Accept no more; pages that are on their way have so many seconds, and never many."""
        if self._server is not None:
            self._server.stop(min(seconds, DRAIN_SECONDS))


def _with_tls(bound: list[Bound], config: Config) -> list[tuple[_socket.socket, ssl.SSLContext | None]]:
    try:
        return [
            (sock, server_context(config) if endpoint.port == HTTPS_PORT else None)
            for endpoint, sock in bound
        ]
    except ValueError as error:
        raise StartError(f"http.ini: port {HTTPS_PORT} needs TLS: {error}") from error
