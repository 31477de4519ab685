"""smtp.ini daemonize: the command ends, the server stays; what goes wrong is told to whoever started it."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import server
from tests.support.command import haraka
from tests.support.server import Server, eventually


@pytest.fixture(params=[0, 1])
def house(request, tmp_path: Path) -> Iterator[Server]:
    """An installation that daemonizes; what it started is stopped in the end."""
    made = server.relay(
        tmp_path / "house",
        9,
        {
            "smtp.ini": f"listen=127.0.0.1:{{port}}\nnodes={request.param}\ndaemonize=true\n"
            "daemon_log_file=haraka.log\ndaemon_pid_file=haraka.pid\n"
        },
    )
    yield made
    pid = pid_of(made)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def pid_of(house: Server) -> int | None:
    try:
        return int((house.directory / "haraka.pid").read_text())
    except (OSError, ValueError):
        return None


def start(house: Server) -> subprocess.CompletedProcess[str]:
    return haraka("-c", str(house.directory))


def test_the_command_ends_when_the_server_is_ready(house: Server) -> None:
    done = start(house)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid = pid_of(house)
    assert pid is not None
    with smtplib.SMTP("127.0.0.1", house.port) as smtp:
        assert smtp.noop()[0] == 250
    assert os.getsid(pid) == pid
    again = start(house)
    assert again.returncode == 1
    assert again.stderr == (
        f"haraka: smtp.ini daemon_pid_file: {house.directory}/haraka.pid says that process {pid} serves already\n"
    )
    os.kill(pid, signal.SIGTERM)
    assert eventually(lambda: not (house.directory / "haraka.pid").exists())
    log = (house.directory / "haraka.log").read_text()
    assert "Listening on" in log and "Shutting down" in log and "Traceback" not in log


def test_a_start_that_fails_is_told_and_leaves_nothing(house: Server) -> None:
    (house.directory / "config" / "plugins").write_text("no_such_plugin\n")
    done = start(house)
    assert done.returncode == 1
    assert done.stderr.startswith("haraka: ") and "no_such_plugin" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (house.directory / "haraka.pid").exists()


def test_a_pid_file_of_a_process_that_is_gone_is_no_obstacle(house: Server) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (house.directory / "haraka.pid").write_text(f"{gone.pid}\n")
    assert start(house).returncode == 0
    pid = pid_of(house)
    assert pid is not None and pid != gone.pid
    os.kill(pid, signal.SIGTERM)
    assert eventually(lambda: pid_of(house) is None)


def test_a_log_that_can_not_be_written(house: Server) -> None:
    ini = house.directory / "config" / "smtp.ini"
    ini.write_text(ini.read_text().replace("haraka.log", "no/such/directory/log"))
    done = start(house)
    assert done.returncode == 1
    assert "smtp.ini daemon_log_file: cannot write" in done.stderr
    assert pid_of(house) is None
