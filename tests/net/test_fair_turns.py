"""A peer that sends, or reads, without end does not keep the others waiting, nor do many peers keep the event loop."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

import gevent
import pytest

from mta.net.turn import MOST, turn_of_loop
from mta.net.wire import Wire

SO_SNDBUFFORCE = 32  # <asm-generic/socket.h>
SIZE = 500  # of a read; for the wire it is a full one like any other
READS = 100
SIZE_OF_CHUNK = 66_000  # more than a wire holds back
GREEDY = 3  # full reads, or writes, in one turn


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
    assert max(turns.count(turn) for turn in set(turns)) <= GREEDY


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
    assert max(turns.count(turn) for turn in set(turns)) <= GREEDY + 1


WORK = 0.003  # seconds that each line takes to serve
CLIENTS, LINES = 20, 6


def work() -> None:
    """Hold the loop."""
    end = time.monotonic() + WORK
    while time.monotonic() < end:
        pass


def say_something(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Let all clients be ready in one turn, when all wires wait for them."""
    gevent.sleep(0.01)
    for _, theirs in pairs:
        theirs.sendall(b"NOOP\r\n")


def close(wires: list[Wire], pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    for wire, (_, theirs) in zip(wires, pairs, strict=True):
        wire.close()
        theirs.close()


@pytest.fixture
def served() -> list[tuple[int, int]]:
    """Clients that send the next line as soon as they are served: whose turn it was, and the turn of the loop."""
    served: list[tuple[int, int]] = []
    loop = gevent.get_hub().loop
    pairs = [socket.socketpair() for _ in range(CLIENTS)]

    def serve(number: int, ours: socket.socket, theirs: socket.socket) -> None:
        wire = Wire(ours, timeout=60)
        for _ in range(LINES):
            theirs.sendall(b"NOOP\r\n")
            wire.read_line()
            served.append((number, loop.iteration))
            work()
        wire.close()
        theirs.close()

    gevent.joinall(
        [gevent.spawn(serve, number, *pair) for number, pair in enumerate(pairs)], raise_error=True
    )
    return served


def test_a_turn_does_not_serve_all_who_are_ready(served: list[tuple[int, int]]) -> None:
    turns = [turn for _, turn in served]
    assert max(turns.count(turn) for turn in set(turns)) <= MOST / WORK + 1


def test_nobody_is_left_behind_by_those_who_are_ready_all_the_time(served: list[tuple[int, int]]) -> None:
    numbers = [number for number, _ in served]
    for last in range(1, len(numbers)):
        counts = [numbers[:last].count(number) for number in range(CLIENTS)]
        assert max(counts) - min(counts) <= 2, numbers[:last]


def test_a_turn_does_not_serve_all_who_can_send_again() -> None:
    pairs = [socket.socketpair() for _ in range(CLIENTS)]
    loop = gevent.get_hub().loop
    turns = []

    def send(ours: socket.socket) -> None:
        more_than_fits = bytes(ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) * 3 // 2)
        wire = Wire(ours, timeout=60)
        wire.send([more_than_fits])
        wire.flush()
        turns.append(loop.iteration)
        work()
        wire.close()

    sending = [gevent.spawn(send, ours) for ours, _ in pairs]
    gevent.sleep(0.01)
    assert not turns
    for _, theirs in pairs:
        theirs.setblocking(False)
        with suppress(BlockingIOError):
            while theirs.recv(1 << 20):
                pass
    gevent.joinall(sending, raise_error=True)
    assert max(turns.count(turn) for turn in set(turns)) <= MOST / WORK + 1
    for _, theirs in pairs:
        theirs.close()


class Named(Wire):
    """Counts how often the loop, or the turn, names it."""

    __slots__ = ("named",)

    def serve(self) -> None:
        self.named += 1
        super().serve()


def test_those_who_wait_for_many_turns_are_not_named_in_each_of_them() -> None:
    """Else each of thousands would be looked at for each of the others."""
    pairs = [socket.socketpair() for _ in range(2 * CLIENTS)]
    wires = [Named(ours, timeout=60) for ours, _ in pairs]

    def serve(wire: Wire) -> None:
        wire.read_line()
        work()

    waiting = []
    for wire in wires:
        wire.named = 0
        waiting.append(gevent.spawn(serve, wire))
    say_something(pairs)
    gevent.joinall(waiting, raise_error=True)
    # Once by the loop, once more in the next turn, once when it is served; and that it is served already.
    assert max(wire.named for wire in wires) <= 4
    close(wires, pairs)


class Waits(Wire):
    """Counts how often it waits for its peer."""

    __slots__ = ("waits",)

    def _wait_readable(self, deadline: float) -> None:
        self.waits += 1
        super()._wait_readable(deadline)


def test_who_was_put_off_and_served_is_not_woken_up_once_more_for_nothing() -> None:
    pairs = [socket.socketpair() for _ in range(CLIENTS)]
    wires = [Waits(ours, timeout=60) for ours, _ in pairs]

    def serve(wire: Wire) -> None:
        wire.read_line()
        work()
        wire.read_line()

    serving = []
    for wire in wires:
        wire.waits = 0
        serving.append(gevent.spawn(serve, wire))
    say_something(pairs)
    while min(wire.waits for wire in wires) < 2:
        gevent.sleep(0.001)
    gevent.sleep(0.01)
    assert {wire.waits for wire in wires} == {2}  # for the first line, and for the second
    gevent.killall(serving)
    close(wires, pairs)


def test_one_that_is_gone_is_not_served(capsys: pytest.CaptureFixture[str]) -> None:
    """Put off while it waits, and closed by another before its turn comes."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours, timeout=60)
    waiting = gevent.spawn(wire.read_line)
    gevent.sleep(0.01)
    turn_of_loop().put_off(wire)
    waiting.kill()
    wire.close()
    gevent.sleep(0.01)
    theirs.close()
    assert capsys.readouterr().err == ""  # where the loop tells of what fails in it
