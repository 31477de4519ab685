"""The control socket: a real server in this process, a real socket, orders good and bad."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.control.address import NAME, connect, open_unnamed, publish, withdraw
from mta.control.client import ControlClient, NotRunning, Refused
from mta.control.orders import MAX_NAMES
from mta.control.server import MAX_LINE
from mta.worker import Worker


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The state directory of a server that runs and delivers nothing."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "smtp.ini").write_text("listen=127.0.0.1:0\n")
    (config / "plugins").write_text("\n")
    (config / "outbound.ini").write_text("disabled=true\n")
    (config / "me").write_text("mx.example.test\n")
    with (tmp_path / "log").open("wb") as log:
        worker = Worker(tmp_path, log.fileno())
        worker.start()
        try:
            yield tmp_path / "queue.state"
        finally:
            worker.stop()


@pytest.fixture
def client(state: Path) -> Iterator[ControlClient]:
    with ControlClient(state) as connected:
        yield connected


def test_the_socket_is_for_its_owner_alone(state: Path) -> None:
    assert stat.S_IMODE((state / NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_status(client: ControlClient) -> None:
    status = client.ask("status")
    assert status["pid"] == os.getpid()
    assert (status["scheduled"], status["held"], status["disabled"]) == (0, 0, True)
    assert status["suspensions"] == [] and status["sites"] == []


def test_suspend_and_resume(client: ControlClient, state: Path) -> None:
    client.ask("suspend", scope="B.test", until=None, reason="blocked")
    assert client.ask("status")["suspensions"] == [{"scope": "b.test", "until": None, "reason": "blocked"}]
    assert "b.test" in (state / "suspensions.json").read_text()
    assert client.ask("resume", scope="b.test") is True
    assert client.ask("resume", scope="b.test") is False


def test_orders_about_entries_that_are_not_there(client: ControlClient) -> None:
    for order in ("retry", "hold", "release", "delete", "bounce"):
        assert client.ask_for_each(order, ["nothing"]) == {"nothing": "gone"}
    assert client.ask("reroute", names=["nothing"], next_hop="smtp://127.0.0.1:26") == {"nothing": "gone"}
    assert client.ask("explain", names=["nothing"]) == {"nothing": None}
    assert client.ask_for_each("retry", (f"n{number}" for number in range(1200))) == {
        f"n{number}": "gone" for number in range(1200)
    }


@pytest.mark.parametrize(
    ("order", "arguments", "message"),
    [
        ("dance", {}, "no such order; there are status"),
        ("retry", {}, "names is a list of texts"),
        ("retry", {"names": "x"}, "names is a list of texts"),
        ("retry", {"names": [1]}, "names is a list of texts"),
        ("retry", {"names": ["x"] * (MAX_NAMES + 1)}, "more than 1000 names"),
        ("bounce", {"names": [], "reason": "two\nlines"}, "reason is one line"),
        ("bounce", {"names": [], "reason": "x" * 2000}, "reason is one line"),
        ("reroute", {"names": [], "next_hop": "what is this"}, "not a next hop"),
        ("suspend", {"scope": ""}, "scope is the name"),
        ("suspend", {"scope": "a b"}, "scope is the name"),
        ("suspend", {"scope": "a", "until": "tomorrow"}, "until is a time"),
    ],
)
def test_orders_that_make_no_sense(client: ControlClient, order: str, arguments: dict, message: str) -> None:
    with pytest.raises(Refused, match=message):
        client.ask(order, **arguments)


@pytest.mark.parametrize(
    "line", [b"hello\n", b"[1]\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"{}\n", b'{"do": []}\n']
)
def test_lines_that_are_no_orders(state: Path, line: bytes) -> None:
    with connect(state, 10) as sock:
        sock.sendall(line)
        with sock.makefile("rb") as answers:
            answer = json.loads(answers.readline())
            assert answer["ok"] is False and answer["error"]
            sock.sendall(b'{"do": "status"}\n')
            assert json.loads(answers.readline())["ok"] is True


def test_a_line_that_does_not_end_is_cut(state: Path) -> None:
    with connect(state, 10) as sock:
        sock.sendall(b"x" * (MAX_LINE + 1))
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as answers:
            assert b"at most" in answers.readline()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="not running"):
        ControlClient(tmp_path / "queue.state")


def test_what_a_crash_left_behind_is_replaced_and_paths_may_be_long(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    open_unnamed(directory, NAME).close()
    publish(directory, NAME)
    with pytest.raises(NotRunning, match="not running"):
        ControlClient(directory)
    with socket.socket(fileno=open_unnamed(directory, NAME).detach()) as sock:
        with pytest.raises(NotRunning, match="not running"):
            ControlClient(directory)  # not yet
        publish(directory, NAME)
        with connect(directory, 5):
            sock.accept()[0].close()


def test_a_socket_that_was_never_published_leaves_nothing_behind(tmp_path: Path) -> None:
    open_unnamed(tmp_path, NAME).close()
    assert os.listdir(tmp_path) != []
    withdraw(tmp_path, NAME)
    assert os.listdir(tmp_path) == []
