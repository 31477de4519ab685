"""An operator's line to the master of several workers, or of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mta.control import address
from mta.control.client import GONE, Line, NotRunning, Refused, encoded


class NoMaster(NotRunning):
    """Nobody listens there: the server is not running, or is one process."""


def ask_master(state: Path, order: str, timeout: float) -> Any:
    """The answer to an order; state: the state directory of the queue, timeout: seconds. Raises NoMaster, NotRunning, Refused."""
    try:
        sock = address.connect(state, timeout, address.MASTER)
    except GONE:
        raise NoMaster("the server is not running, or has no master") from None
    except OSError as error:
        raise NotRunning(f"the server can not be reached: {error.strerror or error}") from None
    line = Line(sock)
    try:
        answer = line.ask(encoded(order))
    finally:
        line.close()
    if not answer["ok"]:
        raise Refused(answer["error"])
    return answer["result"]
