"""`haraka --graceful`: new workers with new code and configuration, while clients and mail are under way."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterator

from mta.control.client import ControlClient
from mta.outbound.gate import NOT_YET
from tests.endtoend.conftest import RelayTo
from tests.support.client import RawClient
from tests.support.command import haraka
from tests.support.crowd import Crowd, deliveries, owed
from tests.support.server import RELAY_CONFIG, Server, eventually
from tests.support.sink import RecordingSink
from tests.support.workers import gone, pids

SESSIONS = 500
MESSAGE = b"Subject: hi\r\n\r\nbody\r\n"
REFUSED = "451 4.7.1 greylisted"


def version(number: int) -> str:
    return f"""
from mta.plugin import OK, Plugin
class Version(Plugin):
    def register(self):
        self.loginfo("VERSION {number}")
    def hook_vrfy(self, connection, params):
        return OK, "version {number}"
"""


CONFIG = {
    "smtp.ini": RELAY_CONFIG["smtp.ini"] + "nodes=2\nforce_shutdown_timeout=60\n",
    "plugins": "version\nrelay\n",
    "connection.ini": "[max]\nconnections=2000\nconnections_per_ip=2000\n",
}


def graceful(relay: Server) -> subprocess.CompletedProcess[str]:
    return haraka("--graceful", "-c", str(relay.directory))


def change(relay: Server, file: str, text: str) -> None:
    (relay.directory / file).write_text(text.replace("{port}", str(relay.port)))


@contextlib.contextmanager
def sessions(relay: Server, count: int) -> Iterator[list[RawClient]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(RawClient(relay.port, timeout=60)) for _ in range(count)]


def test_500_sessions_and_a_crowd_see_nothing_of_a_reload(relay_to: RelayTo) -> None:
    """A third of the sessions waits for a command, a third is inside a transaction, a third inside DATA."""
    with RecordingSink() as sink:
        relay = relay_to(sink.port, config=CONFIG, plugins={"version.py": version(1)})
        old = pids(relay)
        crowd = Crowd(relay, itertools.count(1))
        with sessions(relay, SESSIONS) as clients:
            for number, client in enumerate(clients):
                if number % 3:
                    client.command("MAIL FROM:<ann@a.test>")
                    client.command(f"RCPT TO:<rcpt{number}@session.test>")
                if number % 3 == 2:
                    assert client.command("DATA").startswith("354")
                    client.write(b"X-Number: 0\r\n\r\nbegun")
            crowd.start()
            crowd.wait_for(20)
            change(relay, "plugins/version.py", version(2))
            done = graceful(relay)
            assert (done.returncode, done.stdout) == (0, "2 workers have been replaced\n"), done.stderr
            crowd.join()
            assert set(pids(relay)).isdisjoint(old)
            with RawClient(relay.port) as fresh:
                assert fresh.command("VRFY x") == "250 2.1.5 version 2"
            for number, client in enumerate(clients):
                if number % 3 == 2:
                    client.write(b" and ended\r\n.\r\n")
                    assert client.read().startswith("250")
                    assert client.command("VRFY x") == "250 2.1.5 version 1"
                elif number % 3 == 1:
                    assert client.command("DATA").startswith("354")
                    client.write(b"X-Number: 0\r\n\r\nbody\r\n.\r\n")
                    assert client.read().startswith("250")
                assert client.send(
                    "ann@a.test", f"last{number}@session.test", b"X-Number: 0\r\n\r\n"
                ).startswith("250")
                assert client.command("QUIT").startswith("221")
        assert gone(*old), relay.log[-2000:]
        assert relay.wait_until_idle(60), relay.entries()
        got = deliveries(sink)
        of_sessions = {f"last{number}@session.test" for number in range(SESSIONS)} | {
            f"rcpt{number}@session.test" for number in range(SESSIONS) if number % 3
        }
        assert set(got) == owed(crowd.acknowledged) | {(0, rcpt) for rcpt in of_sessions} | {
            key for key in got if key[0] and key not in owed(crowd.acknowledged)
        }
        assert set(got.values()) == {1}
    assert "killed" not in relay.log


BAD = [
    ("config/plugins", "version\nrelay\nnosuch\n", "Loading plugin nosuch failed: No plugin with this name"),
    ("plugins/version.py", "import nosuch\n", "Loading plugin version failed: "),
    ("plugins/version.py", version(2).replace("hook_vrfy", "hook_vryf"), "hook_vryf"),
    ("config/smtp.ini", "listen=127.0.0.1:{port}\nnodes=2\ninactivity_timeout=soon\n", "smtp.ini:3: [main] inactivity_timeout: 'soon' is not"),
    ("config/outbound.ini", "[smarthost]\nhost=[\n", "outbound.ini"),
]  # fmt: skip


def test_what_can_not_be_loaded_keeps_the_workers_and_says_why(relay_to: RelayTo) -> None:
    relay = relay_to(9, config=CONFIG, plugins={"version.py": version(1)})
    before = pids(relay)
    for file, text, reason in BAD:
        good = (relay.directory / file).read_text()
        change(relay, file, text)
        failed = graceful(relay)
        assert failed.returncode == 1 and failed.stdout == ""
        assert failed.stderr.startswith("haraka: reload failed: ") and reason in failed.stderr
        assert failed.stderr.endswith("; the workers stay as they are\n") and failed.stderr.count("\n") == 1
        assert f"[ERROR] [-] [master] {failed.stderr.removeprefix('haraka: ')}" in relay.log
        change(relay, file, good)
    assert pids(relay) == before
    with RawClient(relay.port) as client:
        assert client.command("VRFY x") == "250 2.1.5 version 1"
    assert "last reload failed: " in haraka("status", "-c", str(relay.directory)).stdout
    assert graceful(relay).returncode == 0
    assert set(pids(relay)).isdisjoint(before)


def test_the_queue_of_a_worker_is_its_own_until_it_has_ended(relay_to: RelayTo) -> None:
    with RecordingSink(
        lambda stage, address, attempt: REFUSED if stage == "rcpt" and attempt == 1 else None
    ) as sink:
        relay = relay_to(sink.port, config={**CONFIG, "smtp.ini": CONFIG["smtp.ini"].replace("nodes=2", "nodes=1")}, plugins={"version.py": version(1)}, retries="1h*3")  # fmt: skip
        with RawClient(relay.port, timeout=60) as client:
            assert client.send("ann@a.test", "joe@b.test", MESSAGE).startswith("250")
            assert eventually(relay.deferred)
            (entry,) = relay.waiting()
            assert graceful(relay).returncode == 0
            assert relay.log.count("queue loaded") == 1
            with ControlClient(relay.directory / "queue.state") as control:
                assert control.ask_for_each("hold", [entry]) == {entry: NOT_YET}
            assert client.send("ann@a.test", "sue@c.test", MESSAGE).startswith("250"), "taken by the old one"
            with RawClient(relay.port) as fresh:
                assert fresh.send("ann@a.test", "eve@d.test", MESSAGE).startswith("250"), (
                    "taken by the new one"
                )
            assert eventually(lambda: len(relay.waiting()) == 3 and relay.deferred())
            assert relay.log.count("queue loaded") == 1
            assert client.command("QUIT").startswith("221")
        assert eventually(lambda: "queue loaded entries=2" in relay.log), relay.log[-2000:]
        with ControlClient(relay.directory / "queue.state") as control:
            assert control.ask("status")["scheduled"] == 3
        relay.flush()
        assert relay.wait_until_idle()
        assert sorted(got.rcpts[0] for got in sink.messages) == ["eve@d.test", "joe@b.test", "sue@c.test"]


def test_a_successor_of_one_that_was_killed_waits_for_the_one_before_it_too(relay_to: RelayTo) -> None:
    """Three processes of one slot: one finishes, its successor is killed, and the third takes over from both."""
    one = {**CONFIG, "smtp.ini": CONFIG["smtp.ini"].replace("nodes=2", "nodes=1")}
    relay = relay_to(9, config=one, plugins={"version.py": version(1)}, retries="1h*3")
    with RawClient(relay.port, timeout=60) as client:
        assert client.send("ann@a.test", "joe@b.test", MESSAGE).startswith("250")
        assert eventually(relay.deferred)
        assert graceful(relay).returncode == 0
        second = only(relay)
        os.kill(second, signal.SIGKILL)
        assert eventually(lambda: "worker 0 killed by signal SIGKILL" in relay.log)
        assert eventually(lambda: only(relay) not in (0, second), 30)
        assert relay.log.count("queue loaded") == 1
        assert client.command("QUIT").startswith("221")
    assert eventually(lambda: "queue loaded entries=1" in relay.log), relay.log[-2000:]


def test_kill_old_and_new_workers_under_load(relay_to: RelayTo) -> None:
    """In the middle of a reload one that finishes is killed, and one that has just begun: nothing is lost."""
    with RecordingSink() as sink:
        relay = relay_to(sink.port, config=CONFIG, plugins={"version.py": version(1)})
        old = pids(relay)
        crowd = Crowd(relay, itertools.count(1))
        with RawClient(relay.port, timeout=60):
            crowd.start()
            crowd.wait_for(20)
            assert graceful(relay).returncode == 0
            alive = [pid for pid in old if os.path.exists(f"/proc/{pid}")]
            for pid in (alive[0], pids(relay)[1]):
                os.kill(pid, signal.SIGKILL)
            crowd.join()
        assert len(pids(relay)) == 2 and gone(*old)
        promised = owed(crowd.acknowledged)
        assert eventually(lambda: promised <= set(deliveries(sink)), 70, 0.1), relay.entries()
        assert relay.wait_until_idle(70), relay.entries()
    assert relay.entries() == []


def only(relay: Server) -> int:
    """The process of the worker that serves; 0 when there is none."""
    said = json.loads(haraka("status", "-c", str(relay.directory), "--json").stdout)
    return next((worker["pid"] for worker in said["workers"] if worker["state"] == "serving"), 0)


def test_who_takes_longer_than_allowed_is_told_and_ended(relay_to: RelayTo) -> None:
    config = {**CONFIG, "smtp.ini": CONFIG["smtp.ini"].replace("=60", "=1")}
    relay = relay_to(9, config=config, plugins={"version.py": version(1)})
    old = pids(relay)
    with sessions(relay, 4) as clients:
        assert graceful(relay).returncode == 0
        for client in clients:
            assert client.read().startswith("421 4.3.2 Service not available")
    assert gone(*old)


def test_what_needs_a_restart_is_told(relay_to: RelayTo) -> None:
    relay = relay_to(9, config=CONFIG, plugins={"version.py": version(1)})
    pids(relay)
    change(relay, "config/smtp.ini", "listen=127.0.0.1:{port}, 127.0.0.1:0\nnodes=3\n")
    done = graceful(relay)
    assert done.returncode == 0
    lines = [f"smtp.ini {name} has changed: that needs a restart" for name in ("listen", "nodes")]
    assert done.stdout.splitlines() == [*lines, "2 workers have been replaced"]
    assert all(f"[WARN] [-] [master] {line}" in relay.log for line in lines)


def test_the_queue_stays_where_it_is(relay_to: RelayTo) -> None:
    relay = relay_to(9, config=CONFIG, plugins={"version.py": version(1)})
    pids(relay)
    change(relay, "config/queue_dir", "elsewhere\n")
    relay.signal(signal.SIGUSR2)
    assert eventually(lambda: "all workers replaced" in relay.log)
    assert "queue_dir has changed: that needs a restart" in relay.log
    assert not (relay.directory / "elsewhere").exists()


def test_sigusr2_reloads_and_one_more_while_it_does_follows(relay_to: RelayTo) -> None:
    relay = relay_to(9, config=CONFIG, plugins={"version.py": version(1)})
    old = pids(relay)
    relay.signal(signal.SIGUSR2)
    assert eventually(lambda: "replacing the workers" in relay.log)
    change(relay, "plugins/version.py", version(2))
    assert graceful(relay).returncode == 0
    assert relay.log.count("all workers replaced") == 2 and gone(*old)
    with RawClient(relay.port) as client:
        assert client.command("VRFY x") == "250 2.1.5 version 2"


def test_a_server_without_a_master_says_what_it_needs(relay_to: RelayTo) -> None:
    relay = relay_to(9)
    said = graceful(relay)
    assert said.returncode == 1 and "set nodes in smtp.ini to 1 or more" in said.stderr
    relay.signal(signal.SIGUSR2)
    assert eventually(lambda: "here are none: set nodes in smtp.ini" in relay.log)
    assert relay.stop() == 0
    assert graceful(relay).stderr == "haraka: the server is not running\n"


def test_a_stop_during_a_reload_stops(relay_to: RelayTo) -> None:
    relay = relay_to(9, config=CONFIG, plugins={"version.py": version(1)})
    pids(relay)
    change(
        relay,
        "plugins/version.py",
        version(2).replace('self.loginfo("VERSION 2")', "import time; time.sleep(60)"),
    )
    asking = subprocess.Popen([*relay.command[:-2], "--graceful", "-c", str(relay.directory)], stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert eventually(lambda: "replacing the workers" in relay.log)
    assert relay.stop() == 0
    assert asking.communicate(timeout=20)[1] == "haraka: reload failed: the server is stopping\n"
