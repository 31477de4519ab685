"""The operator's end of the control sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mta.control import address
from mta.control.merge import merged, missing

TIMEOUT = 60.0
BATCH = 500  # names in one order
GONE = (FileNotFoundError, ConnectionRefusedError)


class NotRunning(Exception):
    """Nobody listens: the server of this queue is not running, or belongs to another user."""


class Refused(Exception):
    """The server answered that it can not do that; the text is its reason."""


class ControlClient:
    """Connections to all workers of the server of one queue; a context manager. Raises NotRunning.

    state: the state directory of the queue. timeout: seconds for one answer.
    """

    def __init__(self, state: Path, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._lines: list[Line] = []
        self._missing = False
        try:
            names = address.names(state)
        except OSError as error:
            raise NotRunning(f"the server can not be reached: {error.strerror or error}") from None
        for name in names:
            self._connect(state, name)
        if not self._lines:
            raise NotRunning("the server is not running")

    def _connect(self, state: Path, name: str) -> None:
        try:
            self._lines.append(Line(address.connect(state, self._timeout, name)))
        except GONE:
            self._missing = True  # a worker that has ended, or they all have
        except OSError as error:
            self.close()
            raise NotRunning(f"the server can not be reached: {error.strerror or error}") from None

    def ask(self, order: str, **arguments: object) -> Any:
        """Give one order to every worker, return the result of all. Raises Refused, NotRunning."""
        request = encoded(order, **arguments)
        answers = [answer for line in list(self._lines) if (answer := self._ask(line, request)) is not None]
        for answer in answers:
            if not answer["ok"]:
                raise Refused(answer["error"])
        results = [answer["result"] for answer in answers]
        result = merged(order, results) if len(results) > 1 else results[0]
        return missing(result) if self._missing else result

    def _ask(self, line: Line, request: bytes) -> Any:
        """The answer of one worker; None when it has gone, but others are there."""
        try:
            return line.ask(request)
        except NotRunning:
            line.close()
            self._lines.remove(line)
            self._missing = True
            if not self._lines:
                raise
            return None

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
        for line in self._lines:
            line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Line:
    """A connection to one worker."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._answers = sock.makefile("rb")

    def ask(self, request: bytes) -> Any:
        """The answer to a request. Raises NotRunning."""
        try:
            self._sock.sendall(request)
            line = self._answers.readline()
        except OSError as error:
            raise NotRunning(f"the server does not answer: {error.strerror or error}") from None
        if not line:
            raise NotRunning("the server has closed the connection")
        return json.loads(line)

    def close(self) -> None:
        """Hang up."""
        self._answers.close()
        self._sock.close()


def encoded(order: str, **arguments: object) -> bytes:
    """An order as it goes over the line."""
    return json.dumps({"do": order, **arguments}).encode() + b"\n"


def _portions(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while portion := list(islice(rest, BATCH)):
        yield portion
