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
OURS = "mta."
PAUSE = 0.002  # seconds for those who wait, between two pieces of some 5 ms; cryptography.x509 is one of 15

# In the order in which they are likely to be needed; large packages by their parts, for nobody is served meanwhile. Parts of other
# people's packages come and go with their versions: what is missing there is nothing that ours need.
MODULES = (
    # the DNS: the name of a client from elsewhere, the MX of a domain
    *(
        "email.charset",
        "email.utils",
        "email.message",
        "csv",
        "zipfile",
        "importlib.metadata",
        "encodings.idna",
    ),
    *("email.parser", "idna.core", "dns.enum", "dns.style", "dns.name"),
    *("dns.rdatatype", "dns.rdata", "dns.rdataset", "dns.edns", "dns.renderer", "dns.message"),
    *("dns.quic", "dns.node", "dns.query", "dns.asyncquery", "dns.rdtypes.svcbbase"),
    *("dns.resolver", "mta.net.dns_client"),
    # STARTTLS at a next hop
    *("cryptography.hazmat.bindings._rust", "cryptography.hazmat.primitives.hashes"),
    *("cryptography.hazmat.primitives.asymmetric.ec", "cryptography.hazmat.primitives.asymmetric.rsa"),
    *("cryptography.hazmat.primitives.ciphers", "cryptography.hazmat.primitives.serialization"),
    *("cryptography.hazmat.primitives.asymmetric.types", "cryptography.x509"),
    *("typing_extensions", "cryptography.hazmat.bindings.openssl.binding", "OpenSSL.SSL"),
    *("mta.net.certificates", "mta.net.tls_contexts", "mta.net.tls_client", "mta.net.smtp_handshake"),
    # the policy of a domain, a report about a mail
    *("http.client", "mta.outbound.bounce"),
)


def load() -> None:
    """Load all of it at once: in a master, whose workers share the memory then; and before root's rights are given up."""
    for name in MODULES:
        _load(name)


def _load(name: str) -> None:
    try:
        import_module(name)
    except ModuleNotFoundError:
        if name.startswith(OURS):
            raise


class Preload:
    """Loads in a greenlet, giving way between the pieces.

    excusing: a block in which nobody is reported for keeping the event loop. more: what there is to do after that, piece by piece.
    """

    def __init__(self, logger: Logger, excusing: Excusing, *more: Callable[[], object]) -> None:
        self._logger = logger
        self._excusing = excusing
        self._pieces: list[Callable[[], object]] = [
            *(partial(_load, name) for name in MODULES),
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
            memory.keep_loaded()  # at once: to look through what comes by the hundred would take longer than a piece
