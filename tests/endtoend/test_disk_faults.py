"""A disk that fails, or may only be read, and too few descriptors: 451 to clients, nothing lost, all well without a restart."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.endtoend.conftest import RelayTo
from tests.support import needs
from tests.support.client import RawClient
from tests.support.mounts import remount, tmpfs
from tests.support.server import Server, eventually
from tests.support.sink import RecordingSink

SENDER = "sender@example.test"
MESSAGE = b"Subject: small\r\n\r\nbody\r\n"


def reply_to(server: Server, *rcpts: str) -> str:
    """The code that a client gets for a message; afterwards its session must go on."""
    with RawClient(server.port) as client:
        reply = client.send(SENDER, rcpts, MESSAGE)
        assert client.command("NOOP").startswith("250")
        return reply[:3]


class Moods:
    """Recipients whose name has "later" in it are put off until `open` is set; then those of "gone" are refused."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, stage: str, address: str, attempt: int) -> str | None:
        if stage != "rcpt" or "later" not in address:
            return None
        if not self.open.is_set():
            return "451 4.2.0 later"
        return "550 5.1.1 nobody" if "gone" in address else None


@pytest.fixture
def moods() -> Moods:
    return Moods()


@pytest.fixture
def sink(moods: Moods) -> Iterator[RecordingSink]:
    with RecordingSink(moods) as recording:
        yield recording


@contextmanager
def failing(server: Server, call: str, error: str, *paths: Path) -> Iterator[None]:
    """Every such system call of a running server fails, or that on these paths alone, until the end of the block."""
    strace = needs.program("strace", "strace")
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}"]
    inject += [word for path in paths for word in ("-P", str(path))]
    watcher = subprocess.Popen(
        [strace, "-f", "-p", str(server.pid), *inject, "-o", "/dev/null"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert watcher.stderr is not None
        said = watcher.stderr.readline()
        if "attached" not in said:
            needs.missing("the right to trace a process", said.strip())
        yield
    finally:
        watcher.send_signal(signal.SIGINT)  # it lets the server go
        watcher.wait()


@pytest.mark.parametrize(
    "intake, call, error",
    [
        ("files", "fdatasync", "EIO"),
        ("files", "fsync", "EIO"),
        pytest.param("files", "fdatasync,fsync", "ENOSPC", marks=pytest.mark.slow),
        pytest.param("files", "renameat", "EIO", marks=pytest.mark.slow),
        ("journal", "fdatasync", "EIO"),
        pytest.param("journal", "fdatasync,fsync", "ENOSPC", marks=pytest.mark.slow),
    ],
)
def test_the_disk_fails(
    intake: str, call: str, error: str, relay_to: RelayTo, sink: RecordingSink, moods: Moods
) -> None:
    """Of the data, of the directory, of both, and of the step between."""
    relay = relay_to(sink.port, retries="1h*3", intake=intake)
    assert reply_to(relay, "later@example.com") == "250"
    assert eventually(relay.deferred)
    before = relay.entries()
    with failing(relay, call, error):
        assert reply_to(relay, "refused@example.com") == "451"
        assert reply_to(relay, *(f"refused@{n}.example.com" for n in range(3))) == "451"
        assert relay.entries() == before
        moods.open.set()
        relay.flush()
        sink.wait_for_rcpt("later@example.com")
        assert relay.wait_until_idle()
    assert reply_to(relay, "after@example.com") == "250"
    sink.wait_for_rcpt("after@example.com")
    assert relay.wait_until_idle()
    assert [got.rcpts for got in sink.messages] == [("later@example.com",), ("after@example.com",)]


def test_the_disk_may_only_be_read(
    relay_to: RelayTo, sink: RecordingSink, moods: Moods, tmp_path: Path
) -> None:
    """What is queued is delivered and not sent again; what cannot be noted is done when the disk is back."""
    with tmpfs(tmp_path / "relay" / "queue"):
        # Nobody can make it so while a segment is open for writing, but the kernel itself.
        relay = relay_to(sink.port, retries="1h*5", intake="files")
        assert reply_to(relay, "later@example.com") == "250"
        assert reply_to(relay, "one@example.org", "later@example.org", "gone.later@example.org") == "250"
        assert eventually(lambda: relay.deferred() and len(relay.entries()) == 2)
        before = relay.entries()
        remount(relay.queue, "ro")
        assert reply_to(relay, "refused@example.com") == "451"
        moods.open.set()
        relay.flush()
        sink.wait_for_rcpt("later@example.com")
        sink.wait_for_rcpt("later@example.org")
        assert eventually(lambda: "cannot queue a bounce" in relay.log)
        relay.flush()
        assert eventually(lambda: relay.log.count("cannot queue a bounce") == 2)
        assert relay.entries() == before
        assert reply_to(relay, "refused@example.com") == "451"
        remount(relay.queue, "rw")
        assert reply_to(relay, "after@example.com") == "250"
        relay.flush()
        sink.wait_for_rcpt(SENDER)
        assert relay.wait_until_idle(), relay.entries()
        times = {rcpt: len(sink.to(rcpt)) for got in sink.messages for rcpt in got.rcpts}
        assert times == dict.fromkeys(
            ["later@example.com", "one@example.org", "later@example.org", SENDER, "after@example.com"], 1
        )
        assert relay.stop() == 0  # before its disk goes


def test_the_journal_may_only_be_read(relay_to: RelayTo, sink: RecordingSink, moods: Moods) -> None:
    """The kernel makes a file system read-only that has errors, whatever is open."""
    relay = relay_to(sink.port, retries="1h*3")
    assert reply_to(relay, "later@example.com") == "250"
    assert eventually(relay.deferred)
    (segment,) = relay.queue.glob("journal.*")
    before = relay.entries()
    with failing(relay, "write,openat", "EROFS", relay.queue, segment):
        assert reply_to(relay, "refused@example.com") == "451"
        assert reply_to(relay, *(f"refused@{n}.example.com" for n in range(3))) == "451"
        assert relay.entries() == before
    assert reply_to(relay, "after@example.com") == "250"
    sink.wait_for_rcpt("after@example.com")
    moods.open.set()
    relay.flush()
    sink.wait_for_rcpt("later@example.com")
    assert relay.wait_until_idle()
    assert [got.rcpts for got in sink.messages] == [("after@example.com",), ("later@example.com",)]


@pytest.mark.parametrize("intake, code", [("files", "451"), ("journal", "250")])
def test_no_descriptors_left(
    intake: str, code: str, relay_to: RelayTo, sink: RecordingSink, moods: Moods
) -> None:
    """Idle clients hold the last of them: nothing spins, nothing is lost, and it works again when they have gone.

    A segment that is open takes mail without another descriptor.
    """
    relay = relay_to(sink.port, retries="1h*5", intake=intake)
    assert reply_to(relay, "later@example.com") == "250"
    assert eventually(relay.deferred)
    with RawClient(relay.port) as client, ExitStack() as stack:
        used = len(list(Path(f"/proc/{relay.pid}/fd").iterdir()))
        limit = used + 5
        _, hard = resource.prlimit(relay.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (limit, hard))
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", relay.port))) for _ in range(limit)
        ]
        assert eventually(lambda: "cannot accept connections" in relay.log)
        begun = relay.cpu_seconds
        time.sleep(1.0)
        assert relay.cpu_seconds - begun < 0.5, "the server spins"
        assert client.send(SENDER, "then@example.com", MESSAGE).startswith(code)
        relay.flush()
        assert eventually(lambda: "cannot read" in relay.log)
        assert len(relay.entries()) == 1  # what the journal took went over a connection that was open
        for sock in idle:
            sock.close()
        assert eventually(lambda: client.send(SENDER, "after@example.com", MESSAGE).startswith("250"))
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert reply_to(relay, "new@example.com") == "250"
    moods.open.set()
    relay.flush()
    for rcpt in ("after@example.com", "new@example.com", "later@example.com"):
        sink.wait_for_rcpt(rcpt)
    if code == "250":
        sink.wait_for_rcpt("then@example.com")
    assert relay.wait_until_idle()
    assert len(sink.messages) == (3 if code == "451" else 4)
