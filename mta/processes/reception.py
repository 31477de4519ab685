"""The master's end of its control socket: takes one order a client, and answers when it is carried out."""

from __future__ import annotations

import _socket
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mta.net.accept import accept

MAX_CLIENTS = 16
MAX_ORDER = 4096  # bytes
ORDER_SECONDS = 5.0  # for an order to come whole
MAX_ANSWERED = 256 * 1024  # bytes that a client's socket takes at once, or it is no client of ours


@dataclass(slots=True)
class Client:
    """Somebody who has called. order: what came so far; asked: it came whole, and an answer is owed."""

    sock: _socket.socket
    until: float
    order: bytes = b""
    asked: bool = False


class Reception:
    """sock: listens, and is ours to close. Nothing blocks, and there is no event loop."""

    def __init__(self, sock: _socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._clients: dict[int, Client] = {}  # by descriptor

    def fds(self) -> list[int]:
        """What to wait for before receive()."""
        full = len(self._clients) >= MAX_CLIENTS
        return [
            *([] if full else [self._sock.fileno()]),
            *(fd for fd, client in self._clients.items() if not client.asked),
        ]

    def seconds(self) -> float | None:
        """When to look again although nothing comes; None: no need."""
        waiting = [client.until for client in self._clients.values() if not client.asked]
        return max(min(waiting) - time.monotonic(), 0.0) if waiting else None

    def receive(self) -> list[tuple[Client, dict[str, Any]]]:
        """Let clients in and read what they say; the orders that have come whole, each to be answered some time."""
        self._accept()
        orders = []
        for client in list(self._clients.values()):
            if not client.asked and (order := self._read(client)) is not None:
                orders.append((client, order))
        return orders

    def answer(self, client: Client, result: object = None, error: str = "") -> None:
        """Say what became of an order, and hang up."""
        answer = {"ok": False, "error": error} if error else {"ok": True, "result": result}
        with suppress(OSError):  # it has gone
            client.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, MAX_ANSWERED)
            client.sock.send(json.dumps(answer).encode() + b"\n")
        self._hang_up(client)

    def close(self) -> None:
        """Hang up on everybody; called in a child as well, which then has nothing of it."""
        for client in list(self._clients.values()):
            self._hang_up(client)
        self._sock.close()

    def _accept(self) -> None:
        while len(self._clients) < MAX_CLIENTS:
            try:
                fd, _ = accept(self._sock)
            except OSError:
                return
            sock = _socket.socket(fileno=fd)
            sock.setblocking(False)
            self._clients[fd] = Client(sock, time.monotonic() + ORDER_SECONDS)

    def _read(self, client: Client) -> dict[str, Any] | None:
        """The whole order; None while there is none, or never will be."""
        try:
            data = client.sock.recv(MAX_ORDER)
        except BlockingIOError:
            if time.monotonic() >= client.until:
                self._hang_up(client)
            return None
        except OSError:
            data = b""
        client.order += data
        if not data or len(client.order) > MAX_ORDER:
            self._hang_up(client)
            return None
        return self._parsed(client) if client.order.endswith(b"\n") else None

    def _parsed(self, client: Client) -> dict[str, Any] | None:
        client.asked = True
        try:
            order = json.loads(client.order)
        except (ValueError, RecursionError):
            order = None
        if isinstance(order, dict):
            return order
        self.answer(client, error="an order is a JSON object")
        return None

    def _hang_up(self, client: Client) -> None:
        self._clients.pop(client.sock.fileno(), None)
        client.sock.close()
