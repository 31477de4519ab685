"""toobusy: a process that is late turns clients away, and takes them again when it is not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.plugins import logger_and_lines, plugins_of
from tests.support.server import RELAY_CONFIG, Server, eventually

# A plugin that keeps the process busy, in pieces, for as long as a file is there.
HOG = """
import os, threading, time
from mta.plugin import Plugin

class Hog(Plugin):
    def hook_init_master(self, server):
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            time.sleep(0.01)
            end = time.monotonic() + 0.2
            while os.path.exists("busy") and time.monotonic() < end:
                pass
"""


def greeting(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, sock.makefile("rb") as lines:
        return lines.readline().decode().strip()


@pytest.fixture
def server(tmp_path):
    config = {**RELAY_CONFIG, "plugins": "toobusy\nhog\n", "toobusy.ini": "[main]\nmaxlag=10\ninterval=20\n"}
    config["smtp.ini"] += "nodes=0\n"
    with Server(tmp_path, config, {"hog.py": HOG}) as server:
        yield server


def test_clients_are_turned_away_while_the_process_is_late(server: Server) -> None:
    busy = server.directory / "busy"
    busy.touch()
    refusal = "421 4.7.1 Too busy; please try again later"
    assert eventually(lambda: greeting(server.port) == refusal)
    assert eventually(lambda: "deferring connections: lag=" in server.log)
    busy.unlink()
    assert eventually(lambda: greeting(server.port).startswith("220 "))
    assert eventually(lambda: "accepting connections again" in server.log)
    # Once each time; a machine that has much else to do may make it late again.
    assert server.log.count("[CRIT]") - server.log.count("accepting connections again") in (0, 1)


def plugin_with(tmp_path: Path, ini: str = ""):
    [plugin] = plugins_of(tmp_path, ["toobusy"], {"toobusy.ini": ini}, logger_and_lines()[0])
    return plugin


def test_the_more_it_lags_the_more_are_turned_away(tmp_path):
    plugin = plugin_with(tmp_path)
    chances = (0.0, 0.25, 0.5, 0.99)
    told = {}
    for lag in (0, 70, 71, 105, 140, 1000):
        plugin.lag = lag
        told[lag] = [plugin.is_too_much(chance) for chance in chances]
    assert told[0] == told[70] == [False] * 4
    assert told[71] == [True, False, False, False]
    assert told[105] == [True, True, False, False]
    assert told[140] == told[1000] == [True] * 4


def test_one_late_moment_is_not_yet_a_busy_server(tmp_path):
    plugin = plugin_with(tmp_path)
    plugin.take(150)
    assert plugin.lag == pytest.approx(50) and not plugin.is_too_much(0)
    for _ in range(5):
        plugin.take(150)
    assert plugin.is_too_much(0)


def test_the_file_of_haraka_says_the_limit(tmp_path):
    [plugin] = plugins_of(tmp_path, ["toobusy"], {"toobusy.maxlag": "120\n"}, logger_and_lines()[0])
    assert plugin.cfg.maxlag == 120
