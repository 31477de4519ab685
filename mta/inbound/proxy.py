"""A load balancer in front of us: it says who the client is before anything else is said (PROXY protocol)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mta.logger import NOTICE
from mta.net.ip import ip_in_list
from mta.net.wire import WireTimeout
from mta.plugin.endpoints import endpoint
from mta.smtp.proxy import ProxyError, header_length, parse
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.connection import Connection
    from mta.inbound.session import Session
    from mta.net.wire import Wire
    from mta.smtp.proxy import Peer, ProxyHeader

TIMED_OUT = Reply(421, "PROXY timed out", "4.4.2", close=True)
INVALID = Reply(421, "Invalid PROXY format", "4.5.2", close=True)
HEADER_SECONDS = 30.0


def is_proxy(session: Session) -> bool:
    """True when the peer must say who its client is."""
    hosts = session.service.settings.haproxy_hosts
    return bool(hosts) and ip_in_list(session.connection.remote.ip, hosts)


def meet_proxy(session: Session, seconds: float = HEADER_SECONDS) -> Reply | None:
    """Read the header and put the client that it names in the place of the peer; a Reply when it is not to be had.

    Raises EOFError and OSError when the peer goes away, as health checks do.
    """
    connection = session.connection
    connection.proxy.allowed = True
    try:
        header, rest = read_header(session.wire, seconds)
    except WireTimeout:
        return TIMED_OUT
    except ProxyError as error:
        connection.logerror(f"no PROXY header from {connection.remote.ip}: {error}")
        return INVALID
    session.wire.unread(rest)
    connection.early_talker = bool(rest) and not _is_hello(rest)
    _introduce(connection, header)
    return None


def refuse_proxy(connection: Connection) -> Reply:
    """The reply to PROXY as a command: from a stranger, or from a client behind the load balancer."""
    connection.lognotice(f"PROXY not allowed from {connection.remote.ip}")
    return Reply(421, f"PROXY not allowed from {connection.remote.ip}", "4.7.0", close=True)


def read_header(wire: Wire, seconds: float) -> tuple[ProxyHeader, bytes]:
    """The header, and what came with it. The time is for all of it: a byte now and then is not enough.

    Raises ProxyError, WireTimeout, EOFError, OSError.
    """
    end, usual = time.monotonic() + seconds, wire.timeout
    data = b""
    try:
        while not (length := header_length(data)):
            wire.timeout = end - time.monotonic()
            if wire.timeout <= 0:
                raise WireTimeout("timeout")
            data += _more(wire)
    finally:
        wire.timeout = usual
    return parse(data[:length]), data[length:]


def _more(wire: Wire) -> bytes:
    chunk = wire.read_chunk()
    if not chunk:
        raise EOFError("the peer closed the connection before its PROXY header was complete")
    return chunk


def _is_hello(data: bytes) -> bool:
    """Some load balancers say the client's HELO along with their header; that is not talking out of turn, more would be."""
    return data[:5].upper() in (b"EHLO ", b"HELO ") and data.find(b"\n") in (-1, len(data) - 1)


def _introduce(connection: Connection, header: ProxyHeader) -> None:
    proxy = connection.proxy
    proxy.type, proxy.ip = "haproxy", connection.remote.ip
    connection.relaying = False
    if header.source is not None and header.destination is not None:
        _replace(connection, header.source, header.destination)
    connection.notes["proxy"] = said = _as_note(connection, header)
    if connection.logger.level >= NOTICE:
        connection.lognotice("proxy", {key: said[key] for key in said if key != "tlvs"})


def _replace(connection: Connection, source: Peer, destination: Peer) -> None:
    name = connection.local.host
    connection.remote = endpoint(*source)
    connection.local = endpoint(*destination)
    connection.local.host = name


def _as_note(connection: Connection, header: ProxyHeader) -> dict[str, object]:
    """What Haraka notes, and the TLVs of version 2 as (type, value)."""
    return {
        "type": connection.proxy.type,
        "proto": header.family,
        "src_ip": connection.remote.ip,
        "src_port": connection.remote.port,
        "dst_ip": connection.local.ip,
        "dst_port": connection.local.port,
        "proxy_ip": connection.proxy.ip,
        "tlvs": header.tlvs,
    }
