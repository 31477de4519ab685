"""The memory of hosts whose TLS is broken, with a real Redis and without one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest
import redis

from mta.config.schema import TlsRedisSettings
from mta.logger import INFO, Logger
from mta.net import no_tls
from mta.net.no_tls import NoTlsHosts
from tests.support.needs import program
from tests.support.signed_dns import free_port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    command = [
        program("redis-server", "redis-server"),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            redis.Redis(port=port).ping()
            return
        except redis.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def memory(lines: list[str], settings: TlsRedisSettings | None = None) -> NoTlsHosts:
    return NoTlsHosts(Logger(INFO, write=lines.append), settings)


def test_in_memory() -> None:
    hosts = memory([])
    assert "mx.test" not in hosts
    hosts.add("mx.test")
    assert "mx.test" in hosts and "other.test" not in hosts


def test_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = memory([])
    monkeypatch.setattr(no_tls, "SECONDS", -1.0)
    hosts.add("mx.test")
    assert "mx.test" not in hosts
    monkeypatch.setattr(no_tls, "SECONDS", 60.0)
    monkeypatch.setattr(no_tls, "MAX_HOSTS", 3)
    for number in range(5):
        hosts.add(f"mx{number}.test")
    assert [number for number in range(5) if f"mx{number}.test" in hosts] == [2, 3, 4]


def test_servers_tell_each_other_by_redis(server: int) -> None:
    lines: list[str] = []
    settings = TlsRedisSettings(disable_for_failed_hosts=True, disable_expiry=77, port=server, db=3)
    one, other = memory(lines, settings), memory(lines, settings)
    one.add("mx.test")
    assert "mx.test" in other and "mx2.test" not in other
    database = redis.Redis(port=server, db=3)
    assert database.keys() == [b"no_tls|mx.test"]  # as Haraka has it
    assert 0 < int(str(database.ttl("no_tls|mx.test"))) <= 77
    other.settings = TlsRedisSettings()
    assert "mx.test" not in other
    assert lines == []


def test_a_redis_that_is_not_there_is_one_line_and_no_harm() -> None:
    lines: list[str] = []
    settings = TlsRedisSettings(disable_for_failed_hosts=True, port=free_port())
    hosts = memory(lines, settings)
    assert "mx.test" not in hosts
    hosts.add("mx.test")
    assert "mx.test" in hosts and "other.test" not in hosts
    (line,) = lines
    assert line.startswith("[WARN]") and "tls.ini [redis]" in line and "going on without Redis" in line
