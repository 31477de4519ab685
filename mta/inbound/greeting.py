"""What happens before the first command: the client's name is looked up, and the banner written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.net.dns import NotFound, Tempfail
from mta.plugin.refusal import Refusal, reply_with
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.connection import Connection, Endpoint
    from mta.inbound.service import Service
    from mta.net.dns import Resolver

NAMELESS = frozenset(
    {None, "", "NXDOMAIN", "DNSERROR", "Unknown"}
)  # what stands for a name that nobody knows


def banner(connection: Connection, service: Service, message: object) -> Reply:
    """The 220 reply: a plugin's message, else connection.ini's greeting, else the product's line."""
    settings = service.settings
    uuid = connection.uuid[: settings.banner_chars]
    if message:
        return reply_with(message, Refusal(220, "", ""))
    if settings.greeting:
        first, *rest = settings.greeting
        return Reply(220, [f"{service.me} ESMTP {first}{_mark(uuid)}", *rest])
    return Reply(220, f"{service.me} ESMTP {service.product} ready{_mark(uuid)}")


def _mark(uuid: str) -> str:
    return f" ({uuid})" if uuid else ""


def look_up_rdns(remote: Endpoint, resolver: Resolver, host: str | None) -> None:
    """Set the client's host and info: a plugin's answer if there is one, else the first PTR name.

    Without a name the host is what Haraka calls it: NXDOMAIN, DNSERROR or Unknown.
    """
    remote.host = host if host is not None else _ptr(remote, resolver)
    remote.info = remote.host


def _ptr(remote: Endpoint, resolver: Resolver) -> str:
    if not remote.ip:
        return "Unknown"  # a unix socket
    if remote.ip == "::1" or remote.ip.startswith("127."):
        return "localhost"  # RFC 6761 6.3: no name server is asked for it
    try:
        names = resolver.lookup_ptr(remote.ip)
    except NotFound:
        return "NXDOMAIN"
    except Tempfail:
        return "DNSERROR"
    return names[0] if names else "Unknown"


def named(remote: Endpoint) -> str:
    """`host [ip]` or `[ip]`: how the reply to HELO addresses the client."""
    if remote.host in NAMELESS:
        return f"[{remote.ip}]"
    return f"{remote.host} [{remote.ip}]"
