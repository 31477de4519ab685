"""Wires to servers."""

from __future__ import annotations

import socket

from mta.net.wire import Wire


def connect(host: str, port: int, *, timeout: float, bind: str | None = None) -> Wire:
    """Open a TCP connection to an address or name. Raises OSError; timeout in seconds, for the connection only."""
    source = (bind, 0) if bind else None
    sock = socket.create_connection((host, port), timeout=timeout, source_address=source)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(sock)


def connect_unix(path: str, *, timeout: float) -> Wire:
    """Open a connection to a unix socket. Raises OSError; timeout in seconds, for the connection only."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return Wire(sock)
