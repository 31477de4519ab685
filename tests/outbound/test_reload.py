"""Every key of outbound.ini changes while the server runs: the real watch over a real file, an engine at work below."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from mta.config import watch
from mta.config.schema import OutboundSettings
from mta.net.dns import Resolver
from mta.outbound.journal_name import SegmentName
from mta.outbound.qfile import QueueFileName
from tests.support.dns_server import DnsServer
from tests.support.fake_mx import FakeMx
from tests.support.install import Install
from tests.support.relay import MESSAGE, Relay
from tests.support.server import eventually

ZONE = {
    "both.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
    "loop.test": {"MX": ["10 us.test."]},
    "us.test": {"A": ["127.0.0.1"]},
}


class House:
    """An installation whose outbound.ini is followed. `main` is what [main] says, a smarthost is there unless it is None."""

    def __init__(self, directory: Path, dns: DnsServer, smarthost: str | None, main: str) -> None:
        self._install = Install(directory)
        self._seen: list[OutboundSettings] = []
        self._smarthost = f"[smarthost]\nhost={smarthost}\n" if smarthost else ""
        self._write(main)
        settings = self._install.config.settings(OutboundSettings, self._on_change)
        self.relay = Relay(directory / "queue", None)
        self.relay.settings = settings
        self.relay.resolver = Resolver([dns.host], port=dns.port, timeout=2, lifetime=2)
        self.relay.start()
        self._install.config.watch()
        gevent.sleep(0)

    def _on_change(self, settings: OutboundSettings) -> None:
        self.relay.outbound.configure(settings)
        self._seen.append(settings)

    def _write(self, main: str) -> None:
        self._install.write("outbound.ini", f"{main}\n{self._smarthost}")

    def change(self, main: str) -> None:
        """Write the file anew, and wait until that has arrived."""
        before = len(self._seen)
        self._write(main)
        assert eventually(lambda: len(self._seen) > before)

    def close(self) -> None:
        self._install.config.close()
        self.relay.stop(0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "QUIET", 0.02)


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as server:
        yield server


@pytest.fixture
def mx() -> Iterator[FakeMx]:
    with FakeMx(extensions=("PIPELINING", "STARTTLS")) as server:
        yield server


@pytest.fixture
def house(tmp_path: Path, dns: DnsServer, mx: FakeMx) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(main: str, smarthost: str | None = mx.smarthost) -> House:
        made.append(House(tmp_path, dns, smarthost, main))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_disabled(house: Callable[..., House], mx: FakeMx) -> None:
    running = house("disabled=true")
    running.relay.submit()
    running.change("disabled=false")
    assert eventually(running.relay.empty)
    running.change("disabled=true")
    running.relay.submit()
    assert not eventually(running.relay.empty, timeout=0.1)
    assert mx.rcpts() == ["joe@b.test"]


def test_concurrency_max(house: Callable[..., House], mx: FakeMx) -> None:
    mx.slow("banner", 30)
    running = house("concurrency_max=1")
    engine = running.relay.outbound.engine
    for n in range(4):
        running.relay.submit(f"joe@b{n}.test")
    assert eventually(lambda: mx.sessions == 1)
    assert engine.in_progress == 1
    running.change("concurrency_max=3")
    assert eventually(lambda: engine.in_progress == 3)


def test_always_split(house: Callable[..., House], mx: FakeMx) -> None:
    running = house("")
    running.relay.submit("joe@b.test", "ann@b.test")
    assert eventually(lambda: [len(message.rcpts) for message in mx.messages] == [2])
    running.change("always_split=true")
    running.relay.submit("joe@b.test", "ann@b.test")
    assert eventually(lambda: [len(message.rcpts) for message in mx.messages] == [2, 1, 1])


def test_received_header(house: Callable[..., House], mx: FakeMx) -> None:
    running = house("")
    for main, start in [
        (None, b"Received: (Haraka outbound); "),
        ("received_header=my relay", b"Received: (my relay); "),
        ("received_header=disabled", b"Message-Id: <x@a.test>\r\n"),
    ]:
        if main:
            running.change(main)
        mx.messages.clear()
        running.relay.submit()
        assert eventually(running.relay.empty)
        assert mx.messages[0].data.startswith(start)


def test_enable_tls(house: Callable[..., House], mx: FakeMx) -> None:
    running = house("")
    running.relay.submit()
    assert eventually(lambda: mx.count("STARTTLS") == 1)
    assert eventually(running.relay.empty)
    mx.hang_up()  # a kept connection would need no word about TLS
    running.change("enable_tls=false")
    running.relay.submit("ann@b.test")
    assert eventually(lambda: "ann@b.test" in mx.rcpts())
    assert mx.count("STARTTLS") == 1


def test_temp_fail_intervals_and_max_temp_failures(house: Callable[..., House], mx: FakeMx) -> None:
    mx.reply("rcpt", "450 busy", rcpt="joe@b.test")
    running = house("")

    def waited() -> int | None:
        (name,) = running.relay.entries() or [None]
        return None if name is None or not name.attempts else (name.next_attempt - name.arrival) // 1000

    running.relay.submit()
    assert eventually(lambda: waited() in range(40, 120))
    running.change("temp_fail_intervals=1m,2h")
    running.relay.outbound.flush()
    assert eventually(lambda: waited() in range(4000, 11000))
    running.change("maxTempFailures=3")
    running.relay.outbound.flush()
    assert eventually(running.relay.empty)
    assert mx.rcpts() == ["sender@a.test"]


def test_inet_prefer(house: Callable[..., House], mx: FakeMx) -> None:
    running = house("inet_prefer=v4", smarthost=f"both.test:{mx.port}")
    running.relay.submit()
    assert eventually(running.relay.empty)
    assert not any("::1" in line for line in running.relay.lines)
    mx.hang_up()
    running.change("inet_prefer=v6")
    running.relay.submit()
    assert eventually(running.relay.empty)
    assert any("::1" in line for line in running.relay.lines), running.relay.lines
    assert len(mx.messages) == 2


def test_local_mx_ok(house: Callable[..., House]) -> None:
    running = house("temp_fail_intervals=none", smarthost=None)
    running.relay.submit("joe@loop.test")
    assert eventually(lambda: any("loops back to this server" in line for line in running.relay.lines))
    running.change("local_mx_ok=true")
    running.relay.lines.clear()
    running.relay.submit("joe@loop.test")
    assert eventually(lambda: any("127.0.0.1:25" in line for line in running.relay.lines))
    assert not any("loops back" in line for line in running.relay.lines)


def test_connect_timeout(house: Callable[..., House]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        running = house("", smarthost=f"127.0.0.1:{port}")
        running.change("connect_timeout=1")
        running.relay.submit()
        assert eventually(lambda: [name.attempts for name in running.relay.entries()] == [1])
        for sock in waiting:
            sock.close()


def test_spool(house: Callable[..., House], mx: FakeMx) -> None:
    """Where mail is kept while it is delivered: what is there already stays."""
    mx.slow("banner", 30)
    running = house("[spool]\nintake=journal")
    queue = running.relay.directory
    running.relay.submit("joe@b.test")
    (segment,) = queue.iterdir()
    running.change("[spool]\nintake=files")
    running.relay.submit("sue@b.test")
    (file,) = set(queue.iterdir()) - {segment}
    assert QueueFileName.parse(file.name)
    running.change(f"[spool]\nintake=journal\njournal_max_message={len(MESSAGE)}")
    running.relay.submit("tim@b.test")
    assert len(list(queue.iterdir())) == 3, "our own trace field makes it larger than that"
    running.change("[spool]\nintake=journal\njournal_max_message=4096\nsegment_bytes=65536")
    for number in range(70):
        running.relay.submit(f"joe@b{number}.test", message=MESSAGE + b"x" * 1000 + b"\r\n")
    assert len([path for path in queue.iterdir() if SegmentName.parse(path.name)]) == 2
