"""`haraka status`: figures of each process, their sums, and an exit status for who checks the health of a server."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from mta.version import VERSION
from tests.endtoend.conftest import RelayTo
from tests.support.client import RawClient
from tests.support.command import haraka
from tests.support.server import RELAY_CONFIG, Server, eventually
from tests.support.sink import RecordingSink
from tests.support.workers import TWO, frozen, pids, send_through

MESSAGE = b"Subject: hi\r\n\r\nbody\r\n"
ONE = {"smtp.ini": RELAY_CONFIG["smtp.ini"]}
FIGURES = """
from mta.plugin import OK, Plugin
class P(Plugin):
    def hook_vrfy(self, connection, params):
        server = self.server
        return OK, f"here {server.figures['received']} all {server.sums['received']}"
"""


def status(relay: Server) -> dict[str, Any]:
    return json.loads(haraka("status", "--json", "-c", str(relay.directory)).stdout)


@pytest.mark.parametrize("config", [ONE, TWO], ids=["one", "two"])
def test_what_was_done_is_counted(relay_to: RelayTo, config: dict[str, str]) -> None:
    with RecordingSink(lambda stage, address, attempt: "550 no" if address == "nobody@b.test" and stage == "rcpt" else None) as sink:  # fmt: skip
        relay = relay_to(sink.port, config=config)
        with RawClient(relay.port) as client:
            assert client.send("ann@a.test", ["bob@b.test", "nobody@b.test"], MESSAGE).startswith("250")
            client.envelope("ann@a.test", "bob@b.test")
            client.write(b"a bare\nline feed\r\n.\r\n")
            assert client.read().startswith("550")
            assert relay.wait_until_idle()
            said = status(relay)
        sums = said["sums"]
        assert (said["healthy"], said["problems"], said["version"]) == (True, [], VERSION)
        assert (said["nodes"], said["pid"]) == (len(said["workers"]) % 3 if config is TWO else 0, relay.pid)
        assert (sums["received"], sums["rejected"], sums["put_off"]) == (1, 1, 0)
        assert (sums["delivered"], sums["failed"], sums["bounced"], sums["connections"]) == (2, 1, 1, 1)
        assert all(sums[key] == sum(each["figures"][key] for each in said["workers"]) for key in sums)
        assert all(each["figures"]["memory"] > 10_000_000 for each in said["workers"])
        assert sums["scheduled"] == sums["held"] == 0 and said["uptime"] > 0


def test_the_sum_outlives_a_worker(relay_to: RelayTo) -> None:
    with RecordingSink() as sink:
        relay = relay_to(
            sink.port, config={**TWO, "plugins": "relay\nfigures\n"}, plugins={"figures.py": FIGURES}
        )
        send_through(relay, 0, "bob@b.test")
        send_through(relay, 1, "sue@b.test")
        assert relay.wait_until_idle()
        assert [each["figures"]["received"] for each in status(relay)["workers"]] == [1, 1]
        assert haraka("--graceful", "-c", str(relay.directory)).returncode == 0
        assert eventually(lambda: len(status(relay)["workers"]) == 2, 20)
        said = status(relay)
        assert [each["figures"]["received"] for each in said["workers"]] == [0, 0]
        assert (said["sums"]["received"], said["sums"]["delivered"]) == (2, 2)
        assert said["reload"]["error"] == ""
        with RawClient(relay.port) as client:
            assert client.command("VRFY x") == "250 2.1.5 here 0 all 2", "plugins know the sums as well"


def test_for_people(relay_to: RelayTo) -> None:
    relay = relay_to(9, config=TWO)
    first, second = pids(relay)
    done = haraka("status", "-c", str(relay.directory))
    head, columns, *workers, sums, loop = done.stdout.splitlines()
    assert head.startswith(f"Haraka {VERSION}, up ") and head.endswith(f", master {relay.pid}, workers: 2")
    assert columns.split()[:4] == ["pid", "state", "connections", "accepted"]
    assert [line.split()[:4] for line in workers] == [
        ["worker", "0", str(first), "serving"],
        ["worker", "1", str(second), "serving"],
    ]
    assert loop.startswith("event loop held at most ") and " to 1 ms: " in loop
    assert sums.split()[0] == "sum" and done.returncode == 0


@pytest.mark.slow
def test_a_worker_that_is_missing_or_hangs_is_a_problem(relay_to: RelayTo) -> None:
    relay = relay_to(9, config={**TWO, "smtp.ini": TWO["smtp.ini"] + "worker_timeout=0\n"})
    first, second = pids(relay)
    with frozen(second):
        assert eventually(lambda: haraka("status", "-c", str(relay.directory)).returncode == 1, 60)
        assert "problem: worker 1 hangs for" in haraka("status", "-c", str(relay.directory)).stdout
    (relay.directory / "config" / "plugins").write_text("nosuch\n")
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: "worker 0: Loading plugin nosuch" in relay.log, 30)
    assert eventually(lambda: status(relay)["problems"] == ["worker 0 does not serve"], 20)
    (relay.directory / "config" / "plugins").write_text("relay\n")
    assert eventually(lambda: status(relay)["healthy"], 60)


def test_a_server_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    done = haraka("status", "-c", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("haraka: the server ")
    assert haraka("status").returncode == 2
