"""What the hooks deferred, bounce and delivered are told about one delivery attempt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mta.net.next_hop import NextHop
from mta.smtp.address import Address


@dataclass(frozen=True, slots=True)
class Deferral:
    """These recipients are tried again in `delay` seconds; `hop` is None when no next hop was reached.

    category: of the reply by outbound.bounce_rules, such as `greylist`.
    """

    delay: float
    reason: str
    recipients: Sequence[Address]
    hop: NextHop | None = None
    category: str = "other"


@dataclass(frozen=True, slots=True)
class Failure:
    """These recipients will never be delivered; their sender is about to be told `reason`.

    category: of the reply by outbound.bounce_rules, such as `no-such-user`.
    """

    reason: str
    recipients: Sequence[Address]
    hop: NextHop | None = None
    category: str = "other"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A next hop took the message for these recipients. `delay` is seconds since the message arrived here."""

    host: str
    ip: str
    port: int
    response: str
    delay: float
    recipients: Sequence[Address]
    mode: str = "SMTP"
    secured: bool = False
    authenticated: bool = False
