"""`haraka -c DIR`: it serves until a signal ends it, and says in one line why it cannot start."""

from __future__ import annotations

import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mta.logger import Logger
from mta.outbound.spool import Spool
from tests.support.command import HARAKA, haraka
from tests.support.ports import free_port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def house(tmp_path: Path, port: int) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "smtp.ini").write_text(f"listen=127.0.0.1:{port}\n")
    (tmp_path / "config" / "plugins").write_text("relay\n")
    return tmp_path


def greeting(port: int) -> int:
    deadline = time.monotonic() + 20
    while True:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
                return smtp.noop()[0]
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_a_signal(house: Path, port: int, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, HARAKA, "-c", house], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert greeting(port) == 250
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, b"")
    assert f"Listening on 127.0.0.1:{port}".encode() in output


def occupy_port(house: Path, port: int) -> object:
    return socket.create_server(("127.0.0.1", port))


def own_spool(house: Path, port: int) -> object:
    spool = Spool(house / "queue", Logger(), hostname="test")
    spool.open()
    return spool


def write(name: str, text: str) -> Callable[[Path, int], object]:
    return lambda house, port: (house / name).write_text(text)


def make_unreadable(house: Path, port: int) -> object:
    """A link that leads to itself cannot be read, not even by root."""
    (house / "config" / "outbound.ini").symlink_to(house / "config" / "outbound.ini")
    return None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (write("config/plugins", "nosuch\n"), "Loading plugin nosuch failed"),
        (write("config/smtp.ini", "listen=127.0.0.1:70000\n"), "70000"),
        (write("queue", "not a directory"), "queue"),
        (occupy_port, "cannot listen on 127.0.0.1:"),
        (own_spool, "queue"),
        (make_unreadable, "outbound.ini: cannot be read"),
    ],
)
def test_start_that_fails_is_one_line(
    house: Path, port: int, spoil: Callable[[Path, int], object], said: str
) -> None:
    hold = spoil(house, port)
    result = haraka("-c", str(house))
    assert result.returncode == 1
    assert result.stderr.startswith("haraka: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert "Traceback" not in result.stdout
    if isinstance(hold, Spool | socket.socket):
        hold.close()
