"""What the service manager is told and gives, with real sockets; the unit files and the container file in docs/contrib."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.config.schema import SmtpSettings
from mta.master import MARGIN
from mta.processes.systemd import Notifier
from tests.support import needs, server
from tests.support.client import RawClient
from tests.support.command import HARAKA, haraka
from tests.support.ports import free_port
from tests.support.server import RELAY_CONFIG, ROOT, Server, eventually
from tests.support.workers import TWO, pids

CONTRIB = ROOT / "docs" / "contrib"
UNITS = ("haraka.service", "haraka.socket")
MOST_EXPOSED = 25  # tenths, of systemd-analyze security


LAUNCH = """
import fcntl, os, sys
high, command = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 50) for fd in sys.argv[1:3]], sys.argv[3:]
for place, fd in enumerate(high, 3):
    os.dup2(fd, place)
    os.close(fd)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "smtp:http"}
os.execv(command[0], command)
"""  # what systemd does


class Manager:
    """The socket that a service manager listens on; `told` is what came, one message a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.told: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def hears(self, begin: str, count: int = 1) -> bool:
        """Wait until so many messages began like this."""
        return eventually(lambda: sum(line.startswith(begin) for line in self.told) >= count, 20)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while message := self.sock.recv(4096):
                self.told.append(message.decode().replace("\n", " "))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.sock.close()


@pytest.fixture
def relay(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    made = server.relay(tmp_path / "relay", 9, {"smtp.ini": request.param})
    yield made
    made.kill()


def both() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("relay", [RELAY_CONFIG["smtp.ini"], TWO["smtp.ini"]], ids=["one", "two"], indirect=True)  # fmt: skip


@both()
def test_a_server_tells_its_life(relay: Server, manager: Manager) -> None:
    relay.env |= {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"}
    relay.start()
    nodes = "nodes" in (relay.directory / "config" / "smtp.ini").read_text()
    assert manager.hears("READY=1 STATUS=") and manager.hears("WATCHDOG=1", 3)
    with RawClient(relay.port):
        assert manager.hears("STATUS=2 workers, 1 connections" if nodes else "STATUS=1 connections")
    if nodes:
        assert haraka("--graceful", "-c", str(relay.directory)).returncode == 0
        assert manager.hears("RELOADING=1 MONOTONIC_USEC=") and manager.hears("READY=1", 2)
    beats = sum(line == "WATCHDOG=1" for line in manager.told)
    assert manager.hears("WATCHDOG=1", beats + 2)
    assert relay.stop() == 0
    assert manager.hears("STOPPING=1")


def test_a_watchdog_that_waits_for_another_process(tmp_path: Path, manager: Manager) -> None:
    relay = server.relay(tmp_path / "relay", 9, TWO)
    relay.env |= {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"}
    relay.start()
    try:
        assert manager.hears("READY=1")
        pids(relay)
        assert "WATCHDOG=1" not in manager.told, "another process is meant"
    finally:
        relay.kill()


def test_nobody_listens(tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "none"), "WATCHDOG_USEC": "x", "PATH": "/bin"}
    notifier = Notifier(environ)
    assert environ == {"PATH": "/bin"}, "no child speaks in our name"
    notifier.ready("well")
    notifier.beat()
    assert notifier.wanted and notifier.pause is None
    assert not Notifier({}).wanted


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0haraka-test-{os.getpid()}")
        Notifier({"NOTIFY_SOCKET": f"@haraka-test-{os.getpid()}"}).ready("well")
        assert sock.recv(100) == b"READY=1\nSTATUS=well"


@both()
def test_sockets_that_were_open_already_take_the_place_of_listen(relay: Server, tmp_path: Path) -> None:
    elsewhere = free_port()
    smtp = relay.directory / "config" / "smtp.ini"
    smtp.write_text(smtp.read_text().replace(str(relay.port), str(elsewhere)))
    with (
        socket.create_server(("127.0.0.1", relay.port)) as mail,
        socket.create_server(("127.0.0.1", 0)) as web,
    ):
        fds = [os.dup(sock.fileno()) for sock in (mail, web)]
        relay.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *map(str, fds), *relay.command],
            pass_fds=fds,
            cwd=relay.directory,
            stdin=subprocess.DEVNULL,
            stdout=relay.log_file.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for fd in fds:
            os.close(fd)
        port = web.getsockname()[1]
        assert eventually(lambda: f"Listening on 127.0.0.1:{port} for HTTP" in relay.log, 20), relay.log
    with RawClient(relay.port) as client:
        assert client.send("ann@a.test", "bob@b.test", b"Subject: hi\r\n\r\n").startswith("250")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", elsewhere))
    assert relay.stop() == 0


def test_systemd_socket_activate(tmp_path: Path) -> None:
    activate = needs.program("systemd-socket-activate", "systemd")
    relay = server.relay(tmp_path / "relay", 9, TWO)
    relay.command = [activate, "-l", f"127.0.0.1:{relay.port}", *relay.command]
    relay.start()
    try:
        assert f"Listening on 127.0.0.1:{relay.port}" in relay.log
        assert len(pids(relay)) == 2
    finally:
        assert relay.stop() == 0


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """Copies that name the program that is here."""
    for name in UNITS:
        text = (CONTRIB / name).read_text()
        (tmp_path / name).write_text(text.replace("/usr/local/bin/haraka", str(HARAKA)))
    return [str(tmp_path / name) for name in UNITS]


def test_systemd_accepts_the_units(units: list[str]) -> None:
    analyze = needs.program("systemd-analyze", "systemd")
    done = subprocess.run(
        [analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_service_is_hardened(units: list[str]) -> None:
    analyze = needs.program("systemd-analyze", "systemd")
    command = [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", units[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_systemd_waits_longer_than_a_stop_takes() -> None:
    unit = (CONTRIB / "haraka.service").read_text()
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert seconds and int(seconds[1]) > SmtpSettings().force_shutdown_timeout + MARGIN
    assert {"Type=notify", "KillMode=mixed", "User=haraka"} <= set(unit.splitlines())


def test_the_container_file(tmp_path: Path) -> None:
    """Its steps that need no container: the installation that it makes is sound, and no step after that is root's."""
    lines = (CONTRIB / "Containerfile").read_text().splitlines()
    made = next(line for line in lines if line.startswith("RUN haraka -i")).removeprefix("RUN ")
    house = tmp_path / "house"
    shell = made.replace("/srv/haraka", str(house)).replace("haraka -i", f"{sys.executable} {HARAKA} -i")
    subprocess.run(["/bin/sh", "-c", shell], check=True, capture_output=True)
    checked = haraka("check", "-c", str(house))
    assert checked.returncode == 0, checked.stdout
    port = re.search(r"listen=\[::0\]:(\d+)", (house / "config" / "smtp.ini").read_text())
    assert port and f"EXPOSE {port[1]}" in lines
    assert "USER haraka" in lines and "USER root" not in lines
    assert any(line.startswith("HEALTHCHECK") and '"haraka", "status", "-c"' in line for line in lines)
    assert signal.Signals.SIGTERM.name in "\n".join(lines)
