"""What a master has once for all its workers: the queue, whom to become, and where to listen."""

from __future__ import annotations

import _socket
import os
from collections.abc import Callable
from pathlib import Path

from gevent.monkey import get_original

from mta.config import Config
from mta.config.schema import QUEUE_DIR, SmtpSettings
from mta.control import address as control_address
from mta.listening import open_sockets
from mta.logger import Logger
from mta.outbound.journal_replay import replay_strangers
from mta.outbound.spool_directory import open_directory, state_directory
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_errors import SpoolError
from mta.privileges import acting_as, give, hand_over, identity
from mta.processes.errors import StartError
from mta.processes.workers import ORIGIN

# The real one: that of gevent would make an event loop in the master.
_close: Callable[[int], None] = get_original("os", "close")


class Estate:
    """Made before the first fork. Raises StartError, SpoolError, PrivilegesError, EndpointError.

    queue: the directory, locked; identity: whom workers become, None: nobody else; control: the socket for operators; smtp, http:
    where to listen; end: a descriptor that comes to its end when the master does.
    """

    def __init__(self, install_dir: Path, config: Config, slots: int, logger: Logger) -> None:
        self._disk = Disk()
        self._logger = logger
        self.queue = install_dir / config.value(QUEUE_DIR)
        open_directory(self._disk, self.queue)
        smtp = config.settings(SmtpSettings)
        self.identity = identity(smtp.user, smtp.group)
        state = state_directory(self.queue)
        if self.identity:
            hand_over((self.queue, state), self.identity)
        self._replay_strangers(slots)
        self.control = self._open_control(state)
        self.smtp, self.http = open_sockets(config, smtp)
        self.end, self._alive = os.pipe()  # nobody ever writes

    def stop_listening(self) -> None:
        """Take no more clients; workers that have the sockets still may."""
        for _, sock in (*self.smtp, *self.http):
            sock.close()

    def leave(self) -> None:
        """In a worker: it is not what keeps the master alive."""
        _close(self._alive)

    def _replay_strangers(self, slots: int) -> None:
        try:
            with acting_as(self.identity):  # the workers have to be able to read the files
                for step in replay_strangers(self._disk, slots):
                    for problem in step.problems:
                        self._logger.error(problem, origin=ORIGIN)
        except SpoolError as error:
            self._logger.crit(f"{error}; what is in it waits for the next start", origin=ORIGIN)

    def _open_control(self, state: Path) -> _socket.socket:
        try:
            control_address.clear(state)
            sock = control_address.open_unnamed(state, control_address.MASTER)
            control_address.publish(state, control_address.MASTER)
            if self.identity:
                give(state / control_address.MASTER, self.identity)
        except OSError as error:
            raise StartError(f"cannot make control sockets in {state}: {error.strerror}") from error
        return sock
