"""A peer that sends without end does not keep the others waiting: after some reads in a row they get their turn."""

from __future__ import annotations

import socket

import gevent

from mta.net.wire import Wire

SIZE = 500  # of a read; for the wire it is a full one like any other
READS = 100
MOST = 8  # full reads in one turn: with 64 KB each a millisecond


def test_the_loop_turns_while_one_sends_much() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(bytes(READS * SIZE))
        wire = Wire(ours, timeout=60)
        loop = gevent.get_hub().loop
        turns = []
        for _ in range(READS):
            assert len(wire.read_chunk(SIZE)) == SIZE
            turns.append(loop.iteration)
        wire.close()
    assert max(turns.count(turn) for turn in set(turns)) <= MOST
