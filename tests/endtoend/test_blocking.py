"""Plugins that wait for databases, directories, web pages, programs: whoever else is served meanwhile does not notice.

Every backend answers only when the test lets it. A server that waited for one with its event loop would answer nobody
before that, so a reply to the other session is the proof; how long that took is printed, and proves nothing by itself.
"""

from __future__ import annotations

import json
import select
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.backends import Backend, Backends, Dns, Fifo, File, Http, Ldap, Postgres, Redis
from tests.support.client import RawClient
from tests.support.command import haraka as run
from tests.support.ports import free_port
from tests.support.server import Server, eventually

KINDS: dict[str, type[Backend]] = {
    "sleep": File,
    "sockets": Http,
    "requests": Http,
    "dns": Dns,
    "redis": Redis,
    "psycopg": Postgres,
    "ldap3": Ldap,
    "subprocess": Fifo,
    "run": Fifo,
    "offload": Fifo,
}

EXPECTED = {File: "slept", Http: "from http", Dns: "from dns", Redis: "from redis"}
EXPECTED |= {Postgres: "from postgres", Ldap: "from ldap", Fifo: "from a fifo"}

PLUGIN = '''
"""VRFY NAME asks the backend of that name, with its own client library, as its manual says."""

import os
import socket
import subprocess
import time

import dns.resolver
import ldap3
import psycopg
import redis
import requests

from mta.plugin import OK, Plugin


class Asks(Plugin):
    timeout = 0

    def register(self):
        self.at = self.config.get("backends.json")

    def hook_vrfy(self, connection, name):
        return OK, getattr(self, "ask_" + name)(**self.at[name])

    def ask_sleep(self, tcp, directory):
        open(directory + "/looking", "w").close()
        while not os.path.exists(directory + "/file"):
            time.sleep(0.05)
        return "slept"

    def ask_sockets(self, tcp, directory):
        with socket.create_connection(("localhost", tcp)) as sock:
            sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            return sock.makefile().read().splitlines()[-1]

    def ask_requests(self, tcp, directory):
        return requests.get(f"http://127.0.0.1:{tcp}/").text

    def ask_dns(self, tcp, directory):
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], tcp, 60
        return resolver.resolve("example.com", "TXT")[0].strings[0].decode()

    def ask_redis(self, tcp, directory):
        return redis.Redis(port=tcp).blpop("answer")[1].decode()

    def ask_psycopg(self, tcp, directory):
        where = f"host=127.0.0.1 port={tcp} user=test dbname=postgres"
        with psycopg.connect(where) as db:
            db.execute("SELECT pg_advisory_lock(1)")
            return db.execute("SELECT 'from ' || 'postgres'").fetchone()[0]

    def ask_ldap3(self, tcp, directory):
        server = ldap3.Server("127.0.0.1", tcp, get_info=ldap3.NONE)
        with ldap3.Connection(server, "cn=admin,dc=example,dc=com", "secret", auto_bind=True) as ldap:
            ldap.search("dc=example,dc=com", "(o=*)", attributes=["o"])
            return ldap.entries[0].o.value

    def ask_subprocess(self, tcp, directory):
        return subprocess.run(["cat", directory + "/fifo"], capture_output=True, text=True).stdout

    def ask_run(self, tcp, directory):
        return self.run(["cat", directory + "/fifo"], timeout=60).stdout.decode()

    def ask_offload(self, tcp, directory):
        return self.offload(read, directory + "/fifo")


def read(path):
    with open(path) as file:
        return file.read()
'''

BUSY = '''
"""NOOP computes, NOOP a little: this plugin keeps the event loop."""

import time

from mta.plugin import Plugin


class Busy(Plugin):
    def hook_noop(self, connection, argument):
        end = time.monotonic() + {"computes": 0.3, "a little": 0.05}.get(argument, 0)
        while time.monotonic() < end:
            pass
'''


@contextmanager
def house(root: Path) -> Iterator[tuple[Server, Backends]]:
    """A server with the plugin that asks, and backends that are not started yet."""
    ports = {name: free_port() for name in KINDS}
    (root / "backends").mkdir()
    with Backends(root / "backends", KINDS, ports) as backends:
        where = {name: {"tcp": ports[name], "directory": str(backends.directories[name])} for name in KINDS}
        config = {
            "smtp.ini": "listen=127.0.0.1:{port}\n",
            "plugins": "asks\n",
            "backends.json": json.dumps(where),
            "log.ini": "level=warn\n",
        }
        with Server(root / "server", config, {"asks.py": PLUGIN}) as server:
            yield server, backends


RUNS = '''
"""Runs a program while it is loaded, and at VRFY."""

from mta.plugin import OK, Plugin


class Runs(Plugin):
    def register(self):
        self.system = self.run(["uname", "-s"]).stdout.decode().strip()

    def hook_vrfy(self, connection, name):
        done = self.run(["cat"], name.encode(), client=connection)
        return OK, f"{self.system} {done.code} {done.stdout.decode()}"
'''


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Backends]]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


def answered(client: RawClient) -> bool:
    return bool(select.select([client.sock], [], [], 0)[0])


def seconds_for(client: RawClient) -> float:
    began = time.perf_counter()
    assert client.command("NOOP").startswith("250 ")
    return time.perf_counter() - began


def tell(capsys: pytest.CaptureFixture[str], what: str, times: list[float]) -> None:
    median, worst = statistics.median(times) * 1000, max(times) * 1000
    with capsys.disabled():
        print(f"\n{what}: another session waits {median:.2f} ms (median), {worst:.1f} ms (worst)", end=" ")


@pytest.mark.parametrize("name", KINDS)
def test_a_plugin_that_waits_for(
    name: str, common: tuple[Server, Backends], capsys: pytest.CaptureFixture[str]
) -> None:
    server, backends = common
    backend = backends.start(name)
    with RawClient(server.port) as one, RawClient(server.port) as other:
        one.write(f"VRFY {name}\r\n".encode())
        backend.asked()
        times = [seconds_for(other) for _ in range(50)]
        assert not answered(one)
        backend.release()
        assert one.read().endswith(EXPECTED[KINDS[name]])
    tell(capsys, name, times)


@pytest.mark.slow
def test_all_of_them_at_once_for_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with house(tmp_path) as (server, backends):
        started = {name: backends.start(name) for name in KINDS}
        clients = {name: RawClient(server.port) for name in KINDS}
        for name, client in clients.items():
            client.write(f"VRFY {name}\r\n".encode())
        for backend in started.values():
            backend.asked()
        times = list(seconds_of_one_in_between(server.port))
        assert not any(map(answered, clients.values()))
        for name, client in clients.items():
            started[name].release()
            assert client.read().endswith(EXPECTED[KINDS[name]])
            client.close()
    tell(capsys, f"{', '.join(KINDS)} at once", times)


def seconds_of_one_in_between(port: int) -> Iterator[float]:
    with RawClient(port) as other:
        for _ in range(150):
            yield seconds_for(other)
            time.sleep(0.02)


@pytest.mark.parametrize("nodes", [0, 2])
def test_programs_run_while_plugins_are_loaded_and_in_workers(nodes: int, tmp_path: Path) -> None:
    config = {"smtp.ini": f"listen=127.0.0.1:{{port}}\nnodes={nodes}\n", "plugins": "runs\n"}
    with Server(tmp_path, config, {"runs.py": RUNS}) as server:
        for _ in range(3):  # whichever worker it is
            with RawClient(server.port) as client:
                assert client.command("VRFY hello").endswith("Linux 0 hello")


@pytest.mark.parametrize("nodes", [0, 2])
def test_a_plugin_that_computes_is_reported(nodes: int, tmp_path: Path) -> None:
    config = {"smtp.ini": f"listen=127.0.0.1:{{port}}\nnodes={nodes}\n", "plugins": "busy\n"}
    with Server(tmp_path, config, {"busy.py": BUSY}) as server:
        with RawClient(server.port) as client:
            client.command("NOOP computes")
        # On a busy machine the server may have been slow too, and says so.
        told = "] [busy] Plugin busy kept the event loop busy for "
        assert eventually(lambda: told in server.log)
        line = next(line for line in server.log.splitlines() if told in line)
        assert line.startswith("[WARN] [")
        assert f" hook=noop at={tmp_path}/plugins/busy.py:1" in line
        busy = json.loads(run("queue", "stats", "--json", "-c", str(tmp_path)).stdout)["busy"]
        assert busy["plugins"]["busy"]["count"] == 1 and busy["plugins"]["busy"]["longest"] >= 0.3
        assert "loop held by:  busy (1 times, " in run("queue", "stats", "-c", str(tmp_path)).stdout


@pytest.mark.parametrize("nodes", [0, 2])
def test_how_long_the_loop_was_held_is_counted(nodes: int, tmp_path: Path) -> None:
    """A plugin that computes for 50 ms is found in the column of turns up to 100 ms, and its place beside the longest turn."""
    smtp = f"listen=127.0.0.1:{{port}}\nnodes={nodes}\nwatchdog_ms=25\n"
    with Server(tmp_path, {"smtp.ini": smtp, "plugins": "busy\n"}, {"busy.py": BUSY}) as server:
        before = held(tmp_path)["histogram"]
        with RawClient(server.port) as client:
            for _ in range(5):  # on a busy machine one or another may take longer
                client.command("NOOP a little")
        after = held(tmp_path)
        grown = {name: count - before[name] for name, count in after["histogram"].items()}
        assert grown["1"] >= 1 and grown["100"] >= 1 and sum(grown[name] for name in ("100", "more")) >= 5
        assert after["longest"] >= 0.05
        with RawClient(server.port) as client:
            client.command("NOOP computes")  # for so long that nothing else is the longest
        after = held(tmp_path)
        assert after["longest"] >= 0.3
        where = after["longest_at"]
        assert (where["plugin"], where["hook"]) == ("busy", "noop")
        assert where["at"].startswith(f"{tmp_path}/plugins/busy.py:1")
        line = run("status", "-c", str(tmp_path)).stdout.splitlines()[-1]
        assert line.startswith("event loop held at most ") and " (by busy at noop, " in line


def held(directory: Path) -> dict[str, Any]:
    """What `haraka status` says of the event loop."""
    busy: dict[str, Any] = json.loads(run("status", "--json", "-c", str(directory)).stdout)["busy"]
    return busy


def test_nobody_is_reported_where_nobody_watches(tmp_path: Path) -> None:
    config = {"smtp.ini": "listen=127.0.0.1:{port}\nwatchdog_ms=0\n", "plugins": "busy\n"}
    with Server(tmp_path, config, {"busy.py": BUSY}) as server:
        with RawClient(server.port) as client:
            client.command("NOOP computes")
        assert not any(held(tmp_path)["histogram"].values())
        assert "event loop" not in run("status", "-c", str(tmp_path)).stdout
        assert server.stop() == 0
        assert "busy for" not in server.log
