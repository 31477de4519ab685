"""Where a server listens: sockets that a service manager has opened, or that we open."""

from __future__ import annotations

from mta.check.preflight import HTTP_PORT
from mta.config import Config
from mta.config.schema import HttpSettings, SmtpSettings
from mta.net.endpoint import Bound, EndpointError, bind_all
from mta.processes.systemd import passed_sockets


def open_sockets(config: Config, smtp_settings: SmtpSettings) -> tuple[list[Bound], list[Bound]]:
    """For mail and for HTTP, all or none; nobody accepts there yet. Raises EndpointError."""
    smtp, http = passed_sockets()
    smtp = smtp or bind_all(smtp_settings.listen)
    try:
        return smtp, http or bind_all(config.settings(HttpSettings).listen, HTTP_PORT)
    except EndpointError:
        for _, sock in smtp:
            sock.close()
        raise
