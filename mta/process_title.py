"""What ps and top show of a process: figures since its start, of the last second, and of the busiest one."""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass

PR_SET_NAME = 15  # prctl(2)
COMM_LENGTH = 15  # bytes of a name, which is all that Linux keeps


@dataclass(slots=True)
class Traffic:
    """What has happened since the start, in all, and what is so now; out: deliveries, mails that may leave, mails that wait."""

    connections: int = 0
    concurrent: int = 0
    recipients: int = 0
    messages: int = 0
    out: tuple[int, int, int] = (0, 0, 0)


class Title:
    """Makes a title each second. role: ` (worker)`, ` (master)`, or "" for a process that is all of the server."""

    def __init__(self, role: str = "") -> None:
        self.role = role
        self._connections, self._recipients, self._messages = _Rate(), _Rate(), _Rate()

    def after(self, seconds: float, traffic: Traffic) -> str:
        """The title when a second more is over; seconds: since the start. The fields are those of Haraka."""
        cn, rcpts, msgs = traffic.connections, traffic.recipients, traffic.messages
        return (
            f"Haraka{self.role} cn={cn} cc={traffic.concurrent} cps={self._connections.next(cn, seconds)}"
            f" rcpts={rcpts}/{_per(rcpts, msgs)} rps={self._recipients.next(rcpts, seconds)}"
            f" msgs={msgs}/{_per(msgs, cn)} mps={self._messages.next(msgs, seconds)}"
            f" out={'/'.join(map(str, traffic.out))}"
        )


class _Rate:
    """How often something happens in a second."""

    def __init__(self) -> None:
        self._before = self._most = 0

    def next(self, total: int, seconds: float) -> str:
        """A second is over: `now/average/most`."""
        now, self._before = total - self._before, total
        self._most = max(self._most, now)
        return f"{now}/{_per(total, seconds)}/{self._most}"


def _per(count: float, by: float) -> str:
    return f"{count / by:.4g}" if by else "0"


class TitleBar:
    """Where titles are shown. `shows_all`: the package setproctitle is here; otherwise Linux shows a short name only."""

    def __init__(self) -> None:
        try:
            self._set_title = importlib.import_module("setproctitle").setproctitle
        except ImportError:
            self._set_title = None
        self.shows_all = self._set_title is not None

    def show(self, title: str, short: str) -> None:
        """Show the title, or the first 15 bytes of the short one; nothing where neither can be done."""
        if self._set_title is not None:
            self._set_title(title)
            return
        try:
            ctypes.CDLL(None).prctl(PR_SET_NAME, short.encode()[:COMM_LENGTH], 0, 0, 0)
        except (AttributeError, OSError):
            pass  # not Linux
