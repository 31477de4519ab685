"""The two lines about a session in the log: its beginning and its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mta.logger import NOTICE

if TYPE_CHECKING:
    from mta.connection import Connection


def connected(connection: Connection) -> None:
    """Who has connected, and to what."""
    if connection.logger.level < NOTICE:
        return
    remote, local = connection.remote, connection.local
    connection.lognotice(
        "connect",
        {"ip": remote.ip, "port": remote.port, "local_ip": local.ip, "local_port": local.port},
    )


def disconnected(connection: Connection) -> None:
    """What came of it."""
    if connection.logger.level < NOTICE:
        return
    c = connection
    connection.lognotice(
        "disconnect",
        {
            "ip": c.remote.ip,
            "rdns": c.remote.host or "",
            "helo": c.hello.host,
            "relay": _flag(c.relaying),
            "early": _flag(c.early_talker),
            "esmtp": _flag(c.esmtp),
            "tls": _flag(c.tls.enabled),
            "pipe": _flag(c.pipelining),
            "errors": c.errors,
            "txns": c.tran_count,
            "rcpts": str(c.rcpt_count),
            "msgs": str(c.msg_count),
            "bytes": c.totalbytes,
            "lr": c.last_reject,
            "time": f"{time.time() - c.start_time:.3f}",
        },
    )


def _flag(value: bool) -> str:
    return "Y" if value else "N"
