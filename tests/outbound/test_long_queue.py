"""A long queue is read in portions, and in between the event loop serves whoever is ready."""

from __future__ import annotations

from pathlib import Path

import gevent

from mta.logger import Logger
from mta.outbound.spool import Spool
from mta.outbound.spool_walk import NAMES_AT_ONCE
from tests.bench.stuffed_queue import StuffedQueue

PORTIONS = 6
MOST = 512  # names that may be parsed in one turn: two milliseconds


def test_the_loop_turns_between_two_portions(tmp_path: Path) -> None:
    with StuffedQueue(tmp_path / "queue", PORTIONS * NAMES_AT_ONCE):
        spool = Spool(tmp_path / "queue", Logger(write=lambda line: None), hostname="h")
        spool.open()
        try:
            loop = gevent.get_hub().loop
            turns = [loop.iteration for _ in spool.walk()]
        finally:
            spool.close()
    assert len(turns) == PORTIONS * NAMES_AT_ONCE
    assert max(turns.count(turn) for turn in set(turns)) <= MOST
