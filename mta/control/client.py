"""The operator's end of the control socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mta.control.address import connect

TIMEOUT = 60.0  # seconds for one answer
BATCH = 500  # names in one order


class NotRunning(Exception):
    """Nobody listens: the server of this queue is not running, or belongs to another user."""


class Refused(Exception):
    """The server answered that it can not do that; the text is its reason."""


class ControlClient:
    """A connection to the server of one queue; a context manager. Raises NotRunning.

    state: the state directory of the queue.
    """

    def __init__(self, state: Path) -> None:
        try:
            self._sock: socket.socket = connect(state, TIMEOUT)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning("the server is not running") from None
        except OSError as error:
            raise NotRunning(f"the server can not be reached: {error.strerror or error}") from None
        self._lines = self._sock.makefile("rb")

    def ask(self, order: str, **arguments: object) -> Any:
        """Give one order, return its result. Raises Refused, NotRunning."""
        try:
            self._sock.sendall(json.dumps({"do": order, **arguments}).encode() + b"\n")
            line = self._lines.readline()
        except OSError as error:
            raise NotRunning(f"the server does not answer: {error.strerror or error}") from None
        if not line:
            raise NotRunning("the server has closed the connection")
        answer = json.loads(line)
        if not answer["ok"]:
            raise Refused(answer["error"])
        return answer["result"]

    def ask_for_each(
        self, order: str, names: Iterable[str], key: str = "names", **arguments: object
    ) -> dict[str, Any]:
        """Give an order about any number of names, in portions; what became of each. Raises as ask()."""
        results: dict[str, Any] = {}
        for portion in _portions(names):
            results.update(self.ask(order, **{key: portion}, **arguments))
        return results

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _portions(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while portion := list(islice(rest, BATCH)):
        yield portion
