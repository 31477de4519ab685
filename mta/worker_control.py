"""A worker's control socket, from the moment it is there to the end."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from mta.control import address
from mta.control.server import ControlServer
from mta.processes.errors import StartError

if TYPE_CHECKING:
    from mta.control.orders import Orders
    from mta.logger import Logger
    from mta.outbound.share import Share


class WorkerControl:
    """Listens at once, under a name that nobody knows; take_over() makes it known. Raises StartError.

    directory: the state directory of the queue. alone: there is no master that has removed what an earlier run left.
    """

    def __init__(self, directory: Path, share: Share, *, alone: bool) -> None:
        self._directory = directory
        self._name = address.name_for(share)
        self._server: ControlServer | None = None
        try:
            if alone:
                address.clear(directory)
            bare = address.open_unnamed(directory, self._name)
        except OSError as error:
            raise StartError(f"cannot make the control socket in {directory}: {error.strerror}") from error
        self._sock = socket.socket(fileno=bare.detach())

    def take_over(self) -> None:
        """Become the one that is asked; whoever was before finishes what it has been asked already. Raises StartError."""
        try:
            address.publish(self._directory, self._name)
        except OSError as error:
            raise StartError(
                f"cannot make the control socket in {self._directory}: {error.strerror}"
            ) from error

    def start(self, orders: Orders, logger: Logger) -> None:
        """Begin to answer."""
        self._server = ControlServer(self._sock, orders, logger)
        self._server.start()

    def close(self) -> None:
        """Let nobody in any more; who has asked something gets an answer."""
        if self._server is not None:
            self._server.close()

    def stop(self) -> None:
        """Answer nobody any more. May be called again."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self._sock.close()
        address.withdraw(self._directory, self._name)
