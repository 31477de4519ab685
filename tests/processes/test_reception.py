"""The master's control socket: orders come whole or not at all, and nobody can block it."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.control import address
from mta.control.master import NoMaster, ask_master
from mta.processes import reception
from mta.processes.reception import MAX_CLIENTS, MAX_ORDER, Reception


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def desk(state: Path) -> Iterator[Reception]:
    sock = address.open_unnamed(state, address.MASTER)
    address.publish(state, address.MASTER)
    made = Reception(sock)
    yield made
    made.close()


def call(state: Path) -> socket.socket:
    return address.connect(state, 5, address.MASTER)


def test_an_order_in_pieces_is_answered_when_it_is_carried_out(desk: Reception, state: Path) -> None:
    with call(state) as caller:
        assert desk.receive() == []
        caller.sendall(b'{"do":')
        assert desk.receive() == []
        caller.sendall(b'"graceful"}\n')
        ((client, order),) = desk.receive()
        assert order == {"do": "graceful"}
        assert len(desk.fds()) == 1 and desk.seconds() is None, "no more is expected of it"
        desk.answer(client, {"workers": 2})
        assert json.loads(caller.makefile().readline()) == {"ok": True, "result": {"workers": 2}}
        assert caller.recv(1) == b""


@pytest.mark.parametrize("order", [b"nonsense\n", b"[]\n", b"[" * 4000 + b"\n", b"\xff\n"])
def test_what_is_no_order(desk: Reception, state: Path, order: bytes) -> None:
    with call(state) as caller:
        caller.sendall(order)
        assert desk.receive() == []
        said = json.loads(caller.makefile().readline())
        assert said == {"ok": False, "error": "an order is a JSON object"}


def test_one_that_says_too_much_or_goes_is_forgotten(desk: Reception, state: Path) -> None:
    with call(state) as talker, call(state) as gone:
        talker.sendall(b"x" * (MAX_ORDER + 1))
        gone.close()
        for _ in range(3):
            assert desk.receive() == []
        assert len(desk.fds()) == 1
        assert select.select([talker], [], [], 5)[0]


def test_one_that_says_nothing_is_hung_up_on(
    desk: Reception, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "ORDER_SECONDS", 0.0)
    with call(state) as silent:
        desk.receive()
        desk.receive()
        assert silent.recv(1) == b""


def test_a_crowd_waits_outside(desk: Reception, state: Path) -> None:
    callers = [call(state) for _ in range(MAX_CLIENTS)]
    desk.receive()
    callers += [call(state) for _ in range(3)]
    desk.receive()
    assert len(desk.fds()) == MAX_CLIENTS, "the listening socket is left alone meanwhile"
    for caller in callers:
        caller.close()
    desk.receive()
    desk.receive()
    assert len(desk.fds()) == 1


def test_nobody_there(state: Path) -> None:
    with pytest.raises(NoMaster):
        ask_master(state, "status", 5)
