"""What signals mean, to one process and to a master with workers; and that nobody waits for a worker that hangs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.processes.workers import LAST_WORDS
from tests.support import server
from tests.support.client import RawClient
from tests.support.server import RELAY_CONFIG, Server, eventually
from tests.support.workers import TWO, gone, pids

REOPENS = """
import ctypes
from mta.plugin import OK, Plugin
class P(Plugin):
    def register(self):
        self.server.on_reopen(lambda: 1 / 0)
        self.server.on_reopen(lambda: self.lognotice("OPENED AGAIN"))
    def hook_vrfy(self, connection, params):
        ctypes.CDLL(None).sleep(600)  # blocks the whole process
"""
MESSAGE = b"Subject: hi\r\n\r\nbody\r\n"


@pytest.fixture
def relay(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    smtp = getattr(request, "param", TWO["smtp.ini"])
    config = {"smtp.ini": smtp, "plugins": "reopens\nrelay\n"}
    made = server.relay(tmp_path / "relay", 9, config, plugins={"reopens.py": REOPENS})
    yield made
    made.kill()


def each() -> pytest.MarkDecorator:
    one = RELAY_CONFIG["smtp.ini"]
    return pytest.mark.parametrize("relay", [one, TWO["smtp.ini"]], ids=["one", "two"], indirect=True)


def started(relay: Server) -> int:
    """Start it, wait until all of it is there; how many processes take mail."""
    relay.start()
    if "nodes=" not in (relay.directory / "config" / "smtp.ini").read_text():
        return 1
    return len(pids(relay))


@each()
def test_sigterm_lets_data_finish(relay: Server) -> None:
    started(relay)
    with RawClient(relay.port) as client, RawClient(relay.port) as idle:
        client.envelope("ann@a.test", "bob@b.test")
        relay.signal(signal.SIGTERM)
        assert idle.read().startswith("421 4.3.2")
        assert client.pieces([MESSAGE, b".\r\n"]).startswith("250")
    assert eventually(lambda: relay.returncode is not None, 20)
    assert relay.returncode == 0 and len(relay.waiting()) == 1


@each()
def test_a_second_sigterm_does_not_wait(relay: Server) -> None:
    started(relay)
    with RawClient(relay.port) as client:
        client.envelope("ann@a.test", "bob@b.test")
        relay.signal(signal.SIGTERM)
        assert eventually(lambda: "Shutting down." in relay.log)

        def ended() -> bool:
            if relay.returncode is None:
                relay.signal(signal.SIGTERM)
            return relay.returncode is not None

        assert eventually(ended, 20, 0.2)
    assert relay.returncode in (0, -signal.SIGTERM) and relay.waiting() == []


@each()
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_log_files_are_opened_again(relay: Server, number: signal.Signals) -> None:
    count = started(relay)
    relay.signal(number)
    assert eventually(lambda: relay.log.count("OPENED AGAIN") == count), relay.log
    assert relay.log.count("cannot reopen a log: ZeroDivisionError") == count
    flushed = relay.log.count("Flushing the temp fail queue")
    assert flushed == (count if number == signal.SIGHUP else 0)
    assert relay.stop() == 0


@each()
def test_a_log_that_was_moved_is_made_anew(relay: Server) -> None:
    count = started(relay)
    assert relay.stop() == 0
    smtp = relay.directory / "config" / "smtp.ini"
    smtp.write_text(smtp.read_text() + "daemonize=true\ndaemon_log_file=log\ndaemon_pid_file=pid\n")
    log = relay.directory / "log"
    status, output = relay.run_to_end(20)
    assert status == 0, output
    pid = int((relay.directory / "pid").read_text())
    try:
        log.rename(relay.directory / "log.1")
        os.kill(pid, signal.SIGUSR1)
        assert eventually(lambda: log.exists() and log.read_text().count("OPENED AGAIN") == count)
        assert log.stat().st_mode & 0o777 == 0o640
    finally:
        os.kill(pid, signal.SIGTERM)
        assert gone(pid)


@pytest.mark.parametrize("relay", [TWO["smtp.ini"] + "worker_timeout=8\n"], indirect=True)
def test_a_worker_that_hangs_says_where_and_is_replaced(relay: Server) -> None:
    started(relay)
    before = pids(relay)
    with RawClient(relay.port) as client:
        client.write(b"VRFY x\r\n")
        assert eventually(lambda: "hangs for" in relay.log, 30)
        assert eventually(lambda: "killed by signal SIGABRT" in relay.log), relay.log[-2000:]
    assert "reopens.py" in relay.log and "in hook_vrfy" in relay.log
    after = pids(relay)
    assert len(set(before) & set(after)) == 1
    assert relay.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("relay", [TWO["smtp.ini"] + "worker_timeout=8\n"], indirect=True)
def test_one_that_can_not_even_say_where_is_killed(relay: Server) -> None:
    started(relay)
    frozen, _ = pids(relay)
    os.kill(frozen, signal.SIGSTOP)
    assert eventually(lambda: "killed by signal SIGKILL" in relay.log, LAST_WORDS + 30)
    assert gone(frozen) and len(pids(relay)) == 2


def test_a_stop_does_not_wait_for_a_worker_that_hangs(relay: Server) -> None:
    started(relay)
    frozen, _ = pids(relay)
    os.kill(frozen, signal.SIGSTOP)
    relay.signal(signal.SIGTERM)
    assert eventually(lambda: "SIGTERM received" in relay.log)
    relay.signal(signal.SIGTERM)
    assert eventually(lambda: relay.returncode is not None, 30)
    assert relay.returncode == 1 and gone(frozen)
    assert "worker 0 killed: it had not ended within 5 s" in relay.log
