"""What the first mails need and the first banner does not: a third of a start, loaded when clients are served already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

import gevent

from mta import memory

if TYPE_CHECKING:
    from mta.logger import Logger

Excusing: TypeAlias = Callable[[], AbstractContextManager[None]]

ORIGIN = "server"
PAUSE = 0.002  # seconds for those who wait, between two pieces of at most some 20 ms

# In the order in which they are likely to be needed; large packages by their parts, for nobody is served meanwhile.
MODULES = (
    # the DNS: the name of a client from elsewhere, the MX of a domain
    *("importlib.metadata", "dns.name", "dns.rdata", "dns.rdataset", "dns.message"),
    *("dns.query", "dns.asyncquery", "mta.net.dns_client"),
    # STARTTLS at a next hop
    *("cryptography.hazmat.primitives.hashes", "cryptography.hazmat.primitives.serialization"),
    *("cryptography.x509", "OpenSSL.SSL", "mta.net.tls_client", "mta.net.smtp_handshake"),
    # the policy of a domain, a report about a mail
    *("http.client", "mta.outbound.bounce"),
)


def load() -> None:
    """Load all of it at once: in a master, whose workers share the memory then; and before root's rights are given up."""
    for name in MODULES:
        import_module(name)


class Preload:
    """Loads in a greenlet, giving way between the pieces.

    excusing: a block in which nobody is reported for keeping the event loop. more: what there is to do after that, piece by piece.
    """

    def __init__(self, logger: Logger, excusing: Excusing, *more: Callable[[], object]) -> None:
        self._logger = logger
        self._excusing = excusing
        self._pieces: list[Callable[[], object]] = [
            *(partial(import_module, name) for name in MODULES),
            *more,
        ]
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin; call it when clients are accepted."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Leave the rest."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        for piece in self._pieces:
            gevent.sleep(PAUSE)
            try:
                with self._excusing():
                    piece()
            except Exception as error:
                # Whoever needs it fails in the same way, and says so where it matters.
                self._logger.error(f"cannot be prepared: {error}", origin=ORIGIN)
        memory.keep_loaded()
