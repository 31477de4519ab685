"""What a worker has from its master."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mta.outbound.share import Share
from mta.record import record

if TYPE_CHECKING:
    from mta.net.endpoint import Bound
    from mta.privileges import Identity
    from mta.processes.board import Board


@record
class Inherited:
    """share: of the queue, whose directory is locked already; smtp, http: where to listen, bound before the fork.

    master: a descriptor that comes to its end when the master does. queue: the directory, identity: whom to become; they are
    as they were when the master started, whatever the configuration says by now. board, line: where our figures go.
    predecessor: the descriptor of a worker that has our share until it ends, see Predecessor; -1: there is none.
    """

    share: Share
    smtp: list[Bound]
    http: list[Bound]
    master: int
    queue: Path
    identity: Identity | None
    board: Board
    line: int
    predecessor: int = -1
