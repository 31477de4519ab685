"""Figures in shared memory, between real processes."""

from __future__ import annotations

import os

from mta.processes.board import COUNTERS, FIELDS, Board


def figures(**some: int) -> dict[str, int]:
    return {**dict.fromkeys(FIELDS, 0), **some}


def test_what_a_child_writes_its_parent_reads() -> None:
    board = Board(2)
    line, other = board.take(0), board.take(1)
    assert board.silent_for(line) is None
    pid = os.fork()
    if pid == 0:
        board.write(line, figures(connections=3, received=2**40))
        os._exit(0)
    os.waitpid(pid, 0)
    assert board.read(line) == figures(connections=3, received=2**40)
    assert 0 <= (board.silent_for(line) or 0) < 60 and board.silent_for(other) is None
    board.write(other, figures(connections=1, received=1))
    assert board.sums() == figures(connections=4, received=2**40 + 1)


def test_what_was_counted_outlives_who_has_counted() -> None:
    board = Board(1)
    for _ in range(2):
        board.write(board.take(0), figures(connections=5, memory=9, received=7))
        board.free(0)
    assert board.sums() == board.ended() == figures(received=14)
    assert board.read(board.take(3)) == figures(), "a line is handed on empty"
    assert set(COUNTERS) < set(FIELDS)
