"""Listens on the control socket and answers."""

from __future__ import annotations

import json
import socket
import traceback
from typing import TYPE_CHECKING, BinaryIO

from gevent.pool import Pool
from gevent.server import StreamServer

from mta.control.orders import OrderError, Orders

if TYPE_CHECKING:
    from mta.logger import Logger

MAX_LINE = 1024 * 1024  # bytes of one order
MAX_CLIENTS = 16
IDLE_SECONDS = 60.0


class ControlServer:
    """Serves a listening socket from start() to stop()."""

    def __init__(self, sock: socket.socket, orders: Orders, logger: Logger) -> None:
        self._orders = orders
        self._logger = logger
        self._server = StreamServer(sock, self._serve, spawn=Pool(MAX_CLIENTS))

    def start(self) -> None:
        """Begin to answer; returns at once."""
        self._server.start()

    def close(self) -> None:
        """Let nobody in any more; those that are there are answered."""
        self._server.close()

    def stop(self) -> None:
        """Answer nobody any more, and close the socket."""
        self._server.stop(timeout=1)

    def _serve(self, sock: socket.socket, _: object) -> None:
        sock.settimeout(IDLE_SECONDS)
        try:
            with sock, sock.makefile("rb") as lines:
                self._answer_all(sock, lines)
        except OSError:
            return  # the operator has gone, or says nothing

    def _answer_all(self, sock: socket.socket, lines: BinaryIO) -> None:
        while line := lines.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                sock.sendall(_encoded({"ok": False, "error": f"an order has at most {MAX_LINE} bytes"}))
                return
            sock.sendall(_encoded(self._answer(line)))

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            return {"ok": True, "result": self._orders.carry_out(json.loads(line))}
        except OrderError as error:
            return {"ok": False, "error": str(error)}
        except (ValueError, RecursionError) as error:
            return {"ok": False, "error": f"not JSON: {error}"}
        except Exception as error:
            self._logger.crit(
                f"order failed: {error}", {"traceback": traceback.format_exc()}, origin="control"
            )
            return {"ok": False, "error": f"{type(error).__name__}: {error}, see the log"}


def _encoded(answer: dict[str, object]) -> bytes:
    return json.dumps(answer).encode() + b"\n"
