"""What ps and top show of a process: figures since its start, of the last second, and of the busiest one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

PR_SET_NAME = 15  # prctl(2)
COMM_LENGTH = 15  # bytes of a name, which is all that Linux keeps


class Title:
    """Makes a title each second. role: ` (worker)`, ` (master)`, or "" for a process that is all of the server."""

    def __init__(self, role: str = "") -> None:
        self.role = role
        self._connections, self._recipients, self._messages = _Rate(), _Rate(), _Rate()

    def after(self, seconds: float, figures: Mapping[str, int]) -> str:
        """The title when a second more is over; seconds: since the start; figures: see Server.figures. The fields are Haraka's."""
        cn, rcpts = _sum(figures, "accepted"), _sum(figures, "recipients")
        msgs = _sum(figures, "received", "put_off", "rejected")
        out = (("in_progress",), ("ready", "parked"), ("scheduled", "held"))
        return (
            f"Haraka{self.role} cn={cn} cc={_sum(figures, 'connections')}"
            f" cps={self._connections.next(cn, seconds)}"
            f" rcpts={rcpts}/{_per(rcpts, msgs)} rps={self._recipients.next(rcpts, seconds)}"
            f" msgs={msgs}/{_per(msgs, cn)} mps={self._messages.next(msgs, seconds)}"
            f" out={'/'.join(str(_sum(figures, *names)) for names in out)}"
        )


def _sum(figures: Mapping[str, int], *names: str) -> int:
    return sum(figures.get(name, 0) for name in names)


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
        import ctypes  # most servers never need it

        try:
            ctypes.CDLL(None).prctl(PR_SET_NAME, short.encode()[:COMM_LENGTH], 0, 0, 0)
        except (AttributeError, OSError):
            pass  # not Linux
