"""A master and its workers: who starts, who is replaced, who stops, and what an operator is told."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.check.findings import Severity
from mta.check.installation import check_installation
from mta.cli.run import workers_of
from mta.config.kinds import CPUS
from mta.outbound.spool_directory import open_directory
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_errors import SpoolError
from mta.processes.replacements import LONG_LIFE, LONGEST_PAUSE, pause_after
from tests.support import proc, server
from tests.support.client import RawClient
from tests.support.ports import free_port
from tests.support.server import Server, StartupFailed, eventually
from tests.support.workers import TWO, frozen, gone, pids

SECOND_FAILS = """
import os
from mta.plugin import Plugin
class P(Plugin):
    def register(self):
        if os.path.exists("started"):
            raise OSError("one is enough")
        open("started", "w").close()
"""
HOOKS = """
from mta.plugin import Plugin
class P(Plugin):
    def hook_init_master(self, server):
        self.lognotice("INIT MASTER")
    def hook_init_child(self, server):
        self.lognotice("INIT CHILD")
"""


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Server]:
    """A relay of two workers to nowhere, not yet started."""
    # A name has to be looked up, with threads and an event loop, before anything is forked.
    smtp = "listen=127.0.0.1:{port}, localhost:" + str(free_port()) + "\nnodes=2\n"
    config = {"smtp.ini": smtp, "plugins": "relay\nhooks\n", "me": "relay.test\n"}
    made = server.relay(tmp_path / "relay", 9, config, plugins={"hooks.py": HOOKS})
    yield made
    made.kill()


def test_pauses() -> None:
    assert pause_after(LONG_LIFE, 16.0) == 0.0
    pauses = [0.0]
    while len(pauses) < 9:
        pauses.append(pause_after(0.1, pauses[-1]))
    assert pauses == [0, 1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("nodes=0", 0), ("nodes=3", 3), ("nodes=cpus", len(os.sched_getaffinity(0))), ("nodes=x", 0)],
)
def test_how_many_workers(tmp_path: Path, text: str, count: int) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "smtp.ini").write_text(text + "\n")
    assert workers_of(tmp_path) == count != CPUS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_master_ends_all(relay: Server, number: signal.Signals) -> None:
    relay.start()
    workers = pids(relay)
    assert set(proc.tree(relay.pid)) == {relay.pid, *workers}
    assert relay.log.count("Listening on 127") == relay.log.count("INIT MASTER") == 1
    assert eventually(lambda: relay.log.count("INIT CHILD") == 2)
    relay.signal(number)
    assert eventually(lambda: relay.returncode is not None, 20)
    assert relay.returncode == 0 and gone(*workers)
    assert "Traceback" not in relay.log


def test_a_signal_to_the_whole_group_is_one_signal(relay: Server) -> None:
    """systemd sends SIGTERM to the master and to the workers, and the master passes it on: nobody is cut."""
    relay.start()
    pids(relay)
    with RawClient(relay.port) as client:
        client.envelope("ann@a.test", "bob@b.test")
        os.killpg(relay.pid, signal.SIGTERM)
        assert eventually(lambda: relay.log.count("SIGTERM received") >= 3)
        assert client.pieces([b"Subject: hi\r\n\r\nbody\r\n", b".\r\n"]).startswith("250")
    assert eventually(lambda: relay.returncode is not None, 20)
    assert relay.returncode == 0 and len(relay.waiting()) == 1


def test_a_second_signal_cuts(relay: Server) -> None:
    relay.start()
    pids(relay)
    with RawClient(relay.port) as client:
        client.envelope("ann@a.test", "bob@b.test")

        def ended() -> bool:
            if relay.returncode is None:
                relay.signal(signal.SIGTERM)
            return relay.returncode is not None

        assert eventually(ended, 20, 0.2)
    assert relay.returncode == 0


def test_a_second_server_is_refused_while_even_orphans_live(relay: Server, tmp_path: Path) -> None:
    relay.start()
    workers = pids(relay)
    second = server.relay(tmp_path / "second", 9, {**TWO, "log.ini": "[main]\nlevel=warn\n"})
    second.queue.symlink_to(relay.queue)
    in_use = f"queue directory {second.queue} is in use by"
    assert second.run_to_end() == (1, f"haraka: {in_use} process {relay.pid}\n")
    disk = Disk()
    with frozen(*workers):
        os.kill(relay.pid, signal.SIGKILL)
        assert eventually(lambda: relay.returncode is not None)
        with pytest.raises(SpoolError, match=in_use):
            open_directory(disk, second.queue)
    disk.close_directory()
    assert gone(*workers), "workers without a master go on for ever"
    assert relay.log.count("the master has ended") == 2
    open_directory(disk, second.queue)
    disk.close_directory()


def test_check_knows_the_workers_of_a_running_server(relay: Server) -> None:
    relay.start()
    findings = check_installation(relay.directory)
    assert {finding.severity for finding in findings} == {Severity.NOTE}, [*map(str, findings)]
    in_use = f"is in use by the running server of this installation (process {relay.pid})"
    assert any(in_use in str(finding) for finding in findings)


@pytest.mark.slow
def test_a_replacement_that_can_not_start_is_tried_again(relay: Server) -> None:
    relay.start()
    first, second = pids(relay)
    plugins = relay.directory / "config" / "plugins"
    before = plugins.read_text()
    plugins.write_text("nosuch\n")
    os.kill(second, signal.SIGKILL)
    assert eventually(lambda: "worker 1 exited with status 1" in relay.log, 30)
    assert eventually(lambda: "[ERROR] [-] [master] worker 1: Loading plugin nosuch failed" in relay.log)
    with RawClient(relay.port) as client:
        assert client.command("NOOP").startswith("250")
    plugins.write_text(before)
    assert pids(relay)[0] == first
    assert relay.stop() == 0


def test_what_keeps_a_worker_from_starting_is_told_once(tmp_path: Path) -> None:
    relay = server.relay(
        tmp_path / "relay",
        9,
        {**TWO, "plugins": "relay\nfussy\n", "log.ini": "[main]\nlevel=warn\n"},
        plugins={"fussy.py": SECOND_FAILS},
    )
    with pytest.raises(StartupFailed) as caught:
        relay.start()
        assert eventually(lambda: relay.returncode is not None, 20)
        raise StartupFailed(relay.log, relay.returncode)  # the first worker may have greeted already
    relay.kill()
    assert caught.value.status == 1
    (line,) = relay.log.splitlines()
    assert line.startswith("haraka: ") and "one is enough" in line


def test_an_address_in_use_is_told_as_ever(relay: Server) -> None:
    (relay.directory / "config" / "log.ini").write_text("[main]\nlevel=warn\n")
    with socket.create_server(("127.0.0.1", relay.port)):
        status, output = relay.run_to_end()
    assert status == 1
    assert output.startswith(f"haraka: cannot listen on 127.0.0.1:{relay.port}") and output.count("\n") == 1
