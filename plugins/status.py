"""STATUS: look into the queue, and steer it, over SMTP from this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from mta.plugin import (
    DENY,
    DSN,
    OK,
    Answer,
    Connection,
    Plugin,
    QueueError,
    Reply,
    StatusSettings,
    ip_in_list,
)

THIS_MACHINE = ("127.0.0.0/8", "::1")
JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
LISTED = 1000  # entries, unless the client asks for more
MOST_LISTED = 100_000
SHOWN = 200  # characters


class BadCommand(ValueError):
    """The client has to be told what is wrong with its command; the text says it."""


class Told(Reply):
    """An answer of which the log shows the beginning only."""

    __slots__ = ()

    def __str__(self) -> str:
        text = self.text
        return f"{self.code} {text[:SHOWN]}{'...' if len(text) > SHOWN else ''}"


class Status(Plugin):
    """The commands are those of Haraka; what they tell is about all workers together."""

    cfg = StatusSettings()

    def register(self) -> None:
        self.load(self.config.settings(StatusSettings, on_change=self.load))
        self.commands: dict[tuple[str, str], Callable[[str], Any]] = {
            ("POOL", "LIST"): self.pool_list,
            ("QUEUE", "LIST"): self.queue_list,
            ("QUEUE", "STATS"): self.queue_stats,
            ("QUEUE", "INSPECT"): self.queue_inspect,
            ("QUEUE", "DISCARD"): self.queue_discard,
            ("QUEUE", "PUSH"): self.queue_push,
        }

    def load(self, cfg: StatusSettings) -> None:
        self.cfg = cfg

    def hook_capabilities(self, connection: Connection) -> Answer:
        if is_here(connection):
            connection.capabilities.append("STATUS")
        return None

    def hook_unrecognized_command(self, connection: Connection, verb: str, argument: str) -> Answer:
        if verb != "STATUS":
            return None
        if not is_here(connection):
            connection.errors += 1
            return DENY, "STATUS not allowed remotely"
        try:
            result = self.carry_out(argument)
        except BadCommand as error:
            connection.errors += 1
            return DENY, str(error)
        except QueueError as error:
            return DENY, DSN.create(450, str(error), 3, 0)
        return OK, Told(211, encoded(result))

    def carry_out(self, argument: str) -> Any:
        """What a command comes to, as JSON knows it. Raises BadCommand, QueueError."""
        area, what, rest = [*argument.split(None, 2), "", "", ""][:3]
        command = self.commands.get((area.upper(), what.upper()))
        if command is None:
            areas = {one for one, _ in self.commands}
            kind = area.upper() if area.upper() in areas else "STATUS"
            raise BadCommand(f"unknown {kind} command")
        return command(rest.strip())

    # ---- looking

    def pool_list(self, rest: str) -> Any:
        return self.server.outbound.pools()

    def queue_list(self, rest: str) -> Any:
        if rest and not (rest.isascii() and rest.isdigit() and int(rest[:9]) <= MOST_LISTED):
            raise BadCommand(f"STATUS QUEUE LIST takes a number up to {MOST_LISTED}")
        return self.server.outbound.entries(int(rest) if rest else LISTED)

    def queue_stats(self, rest: str) -> Any:
        counts = self.server.outbound.stats()
        waiting = counts["ready"] + counts["parked"]
        return f"{counts['in_progress']}/{waiting}/{counts['scheduled'] + counts['held']}"

    def queue_inspect(self, rest: str) -> Any:
        found = self.server.outbound.inspect()
        return {
            "delivery_queue": [{"id": name} for name in found["under_way"]],
            "temp_fail_queue": [{"id": name, "fire_time": due} for name, due in found["waiting"]],
        }

    # ---- steering

    def queue_discard(self, rest: str) -> Any:
        return self.change(rest, "discarded", self.server.outbound.delete)

    def queue_push(self, rest: str) -> Any:
        return self.change(rest, "pushed", self.server.outbound.retry)

    def change(self, file: str, what: str, order: Callable[[str], str]) -> str:
        if not self.cfg.changes:
            raise BadCommand("this server allows no changes by STATUS")
        if not file:
            raise BadCommand("the name of a queue file is missing")
        result = order(file)
        if result != "done":
            raise BadCommand(f"{file}: {result}")
        self.lognotice(f"{what} by STATUS", {"file": file})
        return "OK"


def encoded(result: Any) -> str:
    """JSON; a reply is cut into lines at its blanks (RFC 5321 4.5.3.1.5), so there are none that mean anything."""
    return JSON_TEXT.sub(lambda text: text[0].replace(" ", r"\u0020"), json.dumps(result))


def is_here(connection: Connection) -> bool:
    """True for programs on this machine; not for a load balancer on it that did not say whom it speaks for."""
    ip = connection.remote.ip
    return ip_in_list(ip, THIS_MACHINE) and ip != connection.proxy.ip
