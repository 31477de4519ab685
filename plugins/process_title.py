"""Show in ps and top what each process of the server does."""

from __future__ import annotations

import ctypes
import importlib
import threading
import time
from collections.abc import Callable

from mta.plugin import Address, Answer, Connection, Params, Plugin, QueueError, Server

try:
    setproctitle = importlib.import_module("setproctitle").setproctitle
except ImportError:  # it is optional
    setproctitle = None

PR_SET_NAME = 15  # prctl(2)
COMM_LENGTH = 15  # bytes of a name, which is all that Linux keeps
SECONDS = 1.0
WITHOUT = "without the package setproctitle ps shows a short name only (pip install setproctitle)"


class Tally:
    """Something that happens: how often in all, in the last second, and in the busiest second."""

    def __init__(self) -> None:
        self.total = self.now = self.most = self._before = 0

    def tick(self) -> None:
        """A second is over."""
        self.now, self._before = self.total - self._before, self.total
        self.most = max(self.most, self.now)

    def rates(self, seconds: float) -> str:
        """`now/average/most`."""
        return f"{self.now}/{rounded(self.total, seconds)}/{self.most}"


class ProcessTitle(Plugin):
    """List it first: what other plugins answer OK to is not counted otherwise."""

    role = ""
    concurrent = 0

    def register(self) -> None:
        self.connections, self.recipients, self.messages = Tally(), Tally(), Tally()
        self.stopping = threading.Event()
        self.clock: threading.Thread | None = None
        self.show: Callable[[str, str], None] | None = way_to_show()
        for hook, method in (("rcpt", self.count_rcpt), ("data", self.count_message)):
            self.register_hook(hook, method, -100)

    def hook_init_master(self, server: Server) -> Answer:
        return self.begin("")

    def hook_init_child(self, server: Server) -> Answer:
        return self.begin(" (worker)")

    def begin(self, role: str) -> Answer:
        self.role = role
        if self.clock is None:
            if setproctitle is None:
                self.lognotice(WITHOUT)
            self.began = time.monotonic()
            self.clock = threading.Thread(target=self.tick, name=self.name, daemon=True)
            self.clock.start()
        return None

    def shutdown(self) -> None:
        self.stopping.set()

    # ---- counting

    def hook_connect_init(self, connection: Connection) -> Answer:
        self.connections.total += 1
        self.concurrent += 1
        return None

    def hook_disconnect(self, connection: Connection) -> Answer:
        self.concurrent -= 1
        return None

    def count_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        self.recipients.total += 1
        return None

    def count_message(self, connection: Connection) -> Answer:
        self.messages.total += 1
        return None

    # ---- showing

    def tick(self) -> None:
        while self.show is not None and not self.stopping.wait(SECONDS):
            for tally in (self.connections, self.recipients, self.messages):
                tally.tick()
            self.show(self.title(time.monotonic() - self.began), f"haraka cc={self.concurrent}")

    def title(self, seconds: float) -> str:
        """The title after so many seconds; the fields are those of Haraka."""
        cn, rcpts, msgs = self.connections, self.recipients, self.messages
        return (
            f"Haraka{self.role} cn={cn.total} cc={self.concurrent} cps={cn.rates(seconds)}"
            f" rcpts={rcpts.total}/{rounded(rcpts.total, msgs.total)} rps={rcpts.rates(seconds)}"
            f" msgs={msgs.total}/{rounded(msgs.total, cn.total)} mps={msgs.rates(seconds)} out={self.out()}"
        )

    def out(self) -> str:
        """Deliveries under way, entries that may begin, entries that wait for their time."""
        try:
            counts = self.server.outbound.counts()
        except QueueError:
            return "0/0/0"
        waiting = counts["ready"] + counts["parked"]
        return f"{counts['in_progress']}/{waiting}/{counts['scheduled'] + counts['held']}"


def rounded(count: float, by: float) -> str:
    return f"{count / by:.4g}" if by else "0"


def way_to_show() -> Callable[[str, str], None] | None:
    """How to show a title, given whole and short; None where there is no way."""
    if setproctitle is not None:
        return lambda whole, short: setproctitle(whole)
    try:
        prctl = ctypes.CDLL(None).prctl
    except (AttributeError, OSError):
        return None  # not Linux
    return lambda whole, short: prctl(PR_SET_NAME, short.encode()[:COMM_LENGTH], 0, 0, 0)
