"""Can the server listen where it should, or does somebody else?"""

from __future__ import annotations

import errno
from pathlib import Path

from mta.check.findings import Findings, Severity
from mta.check.preflight import endpoints, http_endpoints
from mta.config import Config, Problem
from mta.config.schema import QUEUE_DIR
from mta.net.endpoint import Endpoint, EndpointError
from mta.net.occupant import kin, occupants
from mta.outbound.spool_directory import holder


def check_ports(config: Config, installation: Path, findings: Findings) -> None:
    """Report each address that cannot be listened on; one taken by this installation's own server is only noted."""
    queue = installation / config.value(QUEUE_DIR)
    server = holder(queue)
    if server is not None:
        running = f"the server of this installation is running (process {server})"
        findings.add(Severity.NOTE, Problem(str(queue), running))
    for where, endpoint in (*endpoints(config), *http_endpoints(config)):
        if isinstance(endpoint, Endpoint):
            _check(where, endpoint, server, findings)


def _check(where: Problem, endpoint: Endpoint, server: int | None, findings: Findings) -> None:
    try:
        endpoint.probe()
    except EndpointError as error:
        found = occupants(endpoint) if _in_use(error) else set()
        if server is not None and any(kin(pid, server) for pid in found):
            text = f"{endpoint} is in use by the running server of this installation (process {server})"
            findings.add(Severity.NOTE, where.saying(text))
            return
        who = f" (process {', '.join(map(str, sorted(found)))})" if found else ""
        findings.notice(where.saying(f"{error}{who}"))


def _in_use(error: EndpointError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
