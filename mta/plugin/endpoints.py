"""Ends of a TCP connection, with what their address says about them."""

from __future__ import annotations

from mta.connection import Endpoint
from mta.net.ip import is_local, is_private


def endpoint(ip: str, port: int) -> Endpoint:
    """One end of a connection at this address; what kind of address it is follows from it."""
    end = Endpoint(ip, port)
    end.is_local = is_local(ip)
    end.is_private = is_private(ip)
    return end
