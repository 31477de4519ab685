"""A peer that sends, or reads, without end does not keep the others waiting: after some reads in a row they get their turn."""

from __future__ import annotations

import os
import socket

import gevent
import pytest

from mta.net.wire import Wire

SO_SNDBUFFORCE = 32  # <asm-generic/socket.h>
SIZE = 500  # of a read; for the wire it is a full one like any other
READS = 100
SIZE_OF_CHUNK = 66_000  # more than a wire holds back
MOST = 3  # full reads, or writes, in one turn


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may have such a buffer")
def test_the_loop_turns_while_one_reads_much() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22
    )  # the system takes many writes without a wait
    loop = gevent.get_hub().loop
    turns = []

    def chunks():
        for _ in range(40):
            turns.append(loop.iteration)
            yield bytes(SIZE_OF_CHUNK)

    def drain() -> None:
        theirs.setblocking(False)
        while True:
            try:
                while theirs.recv(1 << 20):
                    pass
                return
            except BlockingIOError:
                gevent.sleep(0.001)

    reader = gevent.spawn(drain)
    wire = Wire(ours, timeout=60)
    wire.send(chunks())
    wire.flush()
    wire.close()
    reader.join()
    theirs.close()
    # One more: the newest chunk waits for company.
    assert max(turns.count(turn) for turn in set(turns)) <= MOST + 1
