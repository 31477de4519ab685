"""What plugins keep for a connection is gone when the connection is, however it ended, and nobody waits for the garbage collector."""

from __future__ import annotations

import gc
import socket
import sys
import time
import weakref
from collections.abc import Callable, Iterator

import gevent
import pytest

from mta.plugin import OK, Plugin
from tests.support.install import eventually
from tests.support.service import Client, Inbound

SESSIONS = 60  # of each ending
ENVELOPE = (
    b"EHLO client.test\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\n"
)
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


class Thing:
    """Something that a plugin remembers."""


class Keeps(Plugin):
    """Notes things wherever it can, and knows how many of them there still are."""

    name = "keeps"

    def __init__(self) -> None:
        self.refs: list[weakref.ref[object]] = []
        self.ended = 0

    def hook_connect(self, connection):
        self.remember(connection, connection)

    def hook_mail(self, connection, mail_from, params):
        self.remember(connection.transaction, connection)

    def remember(self, owner, connection):
        noted, found = Thing(), Thing()
        owner.notes.set("keeps.thing", noted)
        owner.notes.connection = weakref.proxy(connection)
        owner.results.add(self, {"pass": "seen", "thing": found})
        self.refs += map(weakref.ref, (owner, noted, found))

    def hook_rcpt(self, connection, rcpt, params):
        return OK if rcpt.user == "b" else None

    def hook_queue(self, connection):
        return OK

    def hook_disconnect(self, connection):
        self.ended += 1

    @property
    def alive(self) -> list[object]:
        return [found for ref in self.refs if (found := ref()) is not None]


class Hurts(Plugin):
    """Does something bad at the second recipient, with the connection at hand."""

    name = "hurts"
    timeout = 0.05

    def __init__(self, harm: Callable[[object], None]) -> None:
        self.harm = harm

    def hook_rcpt(self, connection, rcpt, params):
        local = connection.transaction
        if rcpt.user == "c":
            self.harm(local)


def fails(transaction: object) -> None:
    raise ValueError(transaction)


def fails_deep(transaction: object) -> None:
    try:
        fails(transaction)
    except ValueError as error:
        raise RuntimeError(transaction) from error


def hangs(transaction: object) -> None:
    time.sleep(30)


def hangs_and_cleans_up(transaction: object) -> None:
    try:
        time.sleep(30)
    finally:
        time.sleep(0.01)


def swallows(transaction: object) -> None:
    try:
        time.sleep(30)
    except BaseException:
        time.sleep(0.01)


def fails_when_late(transaction: object) -> None:
    try:
        time.sleep(30)
    except BaseException as error:
        raise RuntimeError(transaction) from error


def exits(transaction: object) -> None:
    sys.exit(1)


def well(transaction: object) -> None:
    pass


HARMS = [well, fails, fails_deep, hangs, hangs_and_cleans_up, swallows, fails_when_late, exits]


# ---- how a client ends


def quits(client: Client) -> None:
    assert client.read().startswith("354 ")
    client.send(MESSAGE + b".\r\nQUIT\r\n")
    while client.read():
        pass


def goes_in_the_message(client: Client) -> None:
    assert client.read().startswith("354 ")
    client.send(MESSAGE)
    client.sock.shutdown(socket.SHUT_RDWR)


def goes_at_once(client: Client) -> None:
    client.sock.shutdown(socket.SHUT_RDWR)


def is_silent(client: Client) -> None:
    while client.read():
        pass


ENDINGS = [quits, goes_in_the_message, goes_at_once]


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def session(port: int, end: Callable[[Client], None]) -> None:
    client = Client(port)
    client.send(ENVELOPE + b"DATA\r\n")
    for _ in range(4):
        client.read()
    end(client)
    client.close()


def run_sessions(inbound: Inbound, end: Callable[[Client], None], count: int = SESSIONS) -> None:
    clients = [gevent.spawn(session, inbound.port, end) for _ in range(count)]
    gevent.joinall(clients, timeout=60, raise_error=True)
    assert all(client.ready() for client in clients)


def nothing_is_left(keeps: Keeps, inbound: Inbound, count: int = SESSIONS) -> None:
    assert eventually(lambda: keeps.ended == count and inbound.listener.count == 0, 20)
    assert len(keeps.refs) == 6 * count
    assert eventually(lambda: not keeps.alive), keeps.alive[:3]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("harm", HARMS)
def test_however_it_ends(harm: Callable[[object], None], end: Callable[[Client], None]) -> None:
    keeps = Keeps()
    with Inbound([Hurts(harm), keeps]) as inbound:
        run_sessions(inbound, end)
        nothing_is_left(keeps, inbound)


@pytest.mark.usefixtures("no_collector")
def test_clients_that_fall_silent() -> None:
    keeps = Keeps()
    with Inbound([keeps], inactivity_timeout=0.2) as inbound:
        run_sessions(inbound, is_silent)
        nothing_is_left(keeps, inbound)


@pytest.mark.usefixtures("no_collector")
def test_clients_that_a_plugin_waits_for() -> None:
    class Asks(Plugin):
        name = "asks"

        def hook_data(self, connection):
            connection.ask(334, "why?", timeout=0.2 if connection.remote.port % 2 else None)

    keeps = Keeps()
    with Inbound([Asks(), keeps]) as inbound:
        run_sessions(inbound, goes_at_once)
        nothing_is_left(keeps, inbound)


@pytest.mark.usefixtures("no_collector")
def test_a_server_that_stops() -> None:
    keeps = Keeps()
    with Inbound([Hurts(hangs), keeps]) as inbound:
        clients = [Client(inbound.port) for _ in range(SESSIONS)]
        for client in clients:
            client.send(ENVELOPE)
        assert eventually(lambda: len(keeps.refs) == 6 * SESSIONS)
        inbound.listener.stop()
        inbound.listener.join(10)
        nothing_is_left(keeps, inbound)
        for client in clients:
            client.close()


@pytest.mark.usefixtures("no_collector")
def test_what_a_plugin_holds_itself_is_found() -> None:
    class Hoards(Plugin):
        name = "hoards"

        def __init__(self) -> None:
            self.connections: list[object] = []

        def hook_connect(self, connection):
            self.connections.append(connection)

    keeps = Keeps()
    with Inbound([Hoards(), keeps]) as inbound:
        run_sessions(inbound, quits, 1)
        assert eventually(lambda: keeps.ended == 1 and inbound.listener.count == 0)
        assert keeps.alive
