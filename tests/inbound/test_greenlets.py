"""The greenlets that serve clients: their end is waited for, and their errors are told."""

import socket
from collections.abc import Callable

import gevent
import gevent.event
import pytest

from mta.connection import Endpoint
from mta.inbound.greenlets import Greenlets
from mta.inbound.limits import Crowd, Seat

CLIENTS = 3


def serve_all(serve: Callable[[object, Endpoint, Seat], None]) -> Greenlets:
    greenlets = Greenlets(serve)
    crowd = Crowd(100)
    for number in range(CLIENTS):
        client = socket.socket()
        greenlets.spawn(client, Endpoint("192.0.2.1", number), Seat(crowd, ""))
        client.close()
    return greenlets


def test_join_waits_for_all() -> None:
    served = []

    def serve(client: object, remote: Endpoint, seat: Seat) -> None:
        gevent.sleep(0.01 * remote.port)
        served.append(remote.port)

    serve_all(serve).join()
    assert served == list(range(CLIENTS))


def test_join_waits_no_longer_than_it_is_told_and_as_often() -> None:
    go_on = gevent.event.Event()
    served = []

    def serve(client: object, remote: Endpoint, seat: Seat) -> None:
        go_on.wait()
        served.append(remote.port)

    greenlets = serve_all(serve)
    greenlets.join(0.01)
    assert served == []
    go_on.set()
    greenlets.join()
    assert served == list(range(CLIENTS))
    greenlets.join()


def test_kill_waits_until_they_have_cleaned_up(capsys: pytest.CaptureFixture[str]) -> None:
    cleaned = []

    def serve(client: object, remote: Endpoint, seat: Seat) -> None:
        try:
            gevent.sleep(60)
        finally:
            gevent.sleep(0.01)
            cleaned.append(remote.port)

    greenlets = serve_all(serve)
    gevent.sleep(0)
    greenlets.kill()
    assert sorted(cleaned) == list(range(CLIENTS))
    assert capsys.readouterr().err == ""


def test_those_that_have_not_begun_can_be_killed() -> None:
    begun, cleaned = [], []

    def serve(client: object, remote: Endpoint, seat: Seat) -> None:
        begun.append(remote.port)
        try:
            gevent.sleep(60)
        finally:
            cleaned.append(remote.port)

    serve_all(serve).kill()
    assert sorted(begun) == sorted(cleaned)


def test_an_error_is_told_and_hurts_nobody_else(capsys: pytest.CaptureFixture[str]) -> None:
    served = []

    def serve(client: object, remote: Endpoint, seat: Seat) -> None:
        gevent.sleep(0)
        if remote.port == 1:
            raise LookupError("a fault of ours")
        gevent.sleep(0.01)
        served.append(remote.port)

    serve_all(serve).join()
    assert served == [0, 2]
    assert "LookupError: a fault of ours" in capsys.readouterr().err
