"""What the server offers in its reply to EHLO, and in which order."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from mta.smtp.parameters import format_date_time

if TYPE_CHECKING:
    from mta.config.schema import ConnectionSettings
    from mta.connection import Connection

SUBMISSION_PORTS = (587, 465)


def offered(connection: Connection, settings: ConnectionSettings) -> list[str]:
    """The lines of the reply after the first, before the plugins add theirs."""
    use = settings.extensions
    lines = (
        use.pipelining and "PIPELINING",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        _size(settings.max_bytes),
        settings.smtputf8 and "SMTPUTF8",
        use.chunking and "CHUNKING",
        use.chunking and use.binarymime and "BINARYMIME",
        use.dsn and "DSN",
        use.requiretls and connection.tls.enabled and "REQUIRETLS",  # RFC 8689 2
        use.deliverby and "DELIVERBY",
        use.futurerelease and _submits(connection) and _future_release(use.futurerelease_max),
        use.mt_priority and "MT-PRIORITY",
        use.limits and _limits(settings.max_messages, settings.max_recipients),
        use.etrn and "ETRN",
        use.vrfy and "VRFY",
        use.help and "HELP",
    )
    return [line for line in lines if line]


def keywords(connection: Connection) -> frozenset[str]:
    """The extensions that this client was offered; none after HELO."""
    return _keywords(tuple(connection.capabilities)) if connection.esmtp else frozenset()


@lru_cache(maxsize=64)
def _keywords(lines: tuple[str, ...]) -> frozenset[str]:
    return frozenset([line.split(" ", 1)[0].upper() for line in lines])


def _submits(connection: Connection) -> bool:
    """RFC 4865 2: to hold mail is a service of submission."""
    return connection.relaying or connection.local.port in SUBMISSION_PORTS


def _future_release(longest: int) -> str:
    return f"FUTURERELEASE {longest} {format_date_time(time.time() + longest)}"


@lru_cache(maxsize=4)
def _size(most: int) -> str:
    """One text for all clients, who keep it for as long as they are connected."""
    return f"SIZE {most}"


@lru_cache(maxsize=4)
def _limits(messages: int, recipients: int) -> str:
    """RFC 9422 3; a limit that does not exist is not named. One text for all, too."""
    mails = f"MAILMAX={messages} " if messages else ""
    return f"LIMITS {mails}RCPTMAX={recipients}"
