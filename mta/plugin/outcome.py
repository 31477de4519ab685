"""What the hooks deferred, bounce and delivered are told about one delivery attempt."""

from __future__ import annotations

from collections.abc import Sequence

from mta.net.next_hop import NextHop
from mta.record import record
from mta.smtp.address import Address


@record
class Deferral:
    """These recipients are tried again in `delay` seconds, because of `err`.

    mx: the next hop that said so, None if none was reached. category: of the reply by outbound.bounce_rules, such as `greylist`.
    """

    delay: float
    err: str
    recipients: Sequence[Address]
    mx: NextHop | None = None
    category: str = "other"


@record
class Failure:
    """These recipients will never be delivered; their sender is about to be told `err`.

    mx: the next hop that said so, None if none was reached. category: of the reply by outbound.bounce_rules, such as
    `no-such-user`. deferred: recipients of the same mail that are tried again.
    """

    err: str
    recipients: Sequence[Address]
    mx: NextHop | None = None
    category: str = "other"
    deferred: Sequence[Address] = ()


@record
class Receipt:
    """A next hop took the message for these recipients.

    host, ip, port: the name that it was looked up by, and where it was reached. response: what it said. delay: seconds since
    the message arrived here. mode: SMTP or LMTP. secured: by TLS. authenticated: we had logged in.
    """

    host: str
    ip: str
    port: int
    response: str
    delay: float
    recipients: Sequence[Address]
    mode: str = "SMTP"
    secured: bool = False
    authenticated: bool = False
