"""process_title: what ps shows, and that it is true."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from mta.plugin import Title, Traffic
from tests.support.bundled import deliver
from tests.support.client import RawClient
from tests.support.plugins import StandInServer, connection_from, loaded, logger_and_lines, plugins_of
from tests.support.server import RELAY_CONFIG, Server, eventually
from tests.support.service import Client, Inbound, Local

HAS_PACKAGE = importlib.util.find_spec("setproctitle") is not None
FIELDS = (
    r"cn=\d+ cc=\d+ cps=\d+/[\d.e-]+/\d+ rcpts=\d+/[\d.]+ rps=\d+/[\d.e-]+/\d+"
    r" msgs=\d+/[\d.]+ mps=\d+/[\d.e-]+/\d+ out=\d+/\d+/\d+"
)


@pytest.fixture
def plugin(tmp_path):
    [plugin] = plugins_of(tmp_path, ["process_title"], {}, logger_and_lines()[0])
    return plugin


def test_it_counts_what_happens(plugin):
    with Inbound([plugin, Local()]) as inbound:
        first = Client(inbound.port)
        deliver(first, b"Subject: x\r\n\r\nx\r\n", "<b@example.com>", "<no@elsewhere.example>")
        first.close()
        second = Client(inbound.port)
        assert eventually(lambda: plugin.traffic.concurrent == 1)
        title = plugin.title.after(4, plugin.traffic)
        second.close()
        assert eventually(lambda: plugin.traffic.concurrent == 0)
    assert title == ("Haraka cn=2 cc=1 cps=2/0.5/2 rcpts=2/2 rps=2/0.5/2 msgs=1/0.5 mps=1/0.25/1 out=0/0/0")


def test_who_is_greeted_twice_is_counted_once(tmp_path):
    runner, _ = loaded("process_title", tmp_path)
    plugin = runner._plugins[0]
    connection = connection_from()
    for hook in ("connect_init", "connect_init"):
        runner.run(hook, connection)
    assert (plugin.traffic.connections, plugin.traffic.concurrent) == (1, 1)
    for hook in ("disconnect", "disconnect"):
        runner.run(hook, connection)
    assert (plugin.traffic.connections, plugin.traffic.concurrent) == (1, 0)


def test_rates_are_of_the_last_second():
    title, rates = Title(" (master)"), []
    for total in (5, 6, 6):
        text = title.after(2, Traffic(connections=total))
        assert text.startswith("Haraka (master) cn=")
        rates.append(re.search(r"cps=(\S+)", text)[1])
    assert rates == ["5/2.5/5", "1/3/5", "0/3/5"]


def test_the_queue_is_shown(plugin):
    counts = {"in_progress": 1, "ready": 2, "parked": 3, "scheduled": 4, "held": 5}
    server = StandInServer()
    server.outbound = type("Queue", (), {"counts": lambda self: counts})()
    plugin.server = server
    assert plugin.out() == (1, 5, 9)
    assert Title().after(1, Traffic(out=plugin.out())).endswith(" out=1/5/9")


def shown(pid: int) -> str:
    """What ps shows: the command line, or the short name."""
    whole = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    return whole if HAS_PACKAGE else Path(f"/proc/{pid}/comm").read_text().strip()


@pytest.mark.parametrize("nodes", ["0", "1"])
def test_ps_shows_it(tmp_path, nodes):
    config = {**RELAY_CONFIG, "plugins": "process_title\nrelay\n"}
    config["smtp.ini"] += f"nodes={nodes}\n"
    with Server(tmp_path, config) as server, RawClient(server.port):
        pids = [server.pid] if nodes == "0" else children(server.pid)
        role = "" if nodes == "0" else r" \(worker\)"
        pattern = rf"Haraka{role} {FIELDS}" if HAS_PACKAGE else r"haraka cc=\d+"
        assert eventually(lambda: any(re.fullmatch(pattern, shown(pid)) for pid in pids)), shown(pids[0])
        assert eventually(lambda: any("cc=1" in shown(pid) for pid in pids))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
