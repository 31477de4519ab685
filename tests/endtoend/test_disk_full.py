"""A full disk: 451 to the client, nothing half-written left behind, delivery goes on, and so does reception later."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.endtoend.conftest import RelayTo
from tests.support.client import RawClient
from tests.support.mounts import tmpfs
from tests.support.server import Server, eventually
from tests.support.sink import RecordingSink

SENDER = "sender@example.test"
SMALL = b"Subject: small\r\n\r\nbody\r\n"
PAGES = SMALL + (b"x" * 70 + b"\r\n") * 300  # does not fit into what is left of a segment's last page
LARGE = b"Subject: large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 30_000
Mount = Callable[[Path], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """A function that mounts a file system of 1 MB on a directory."""
    with ExitStack() as stack:
        yield lambda directory: stack.enter_context(tmpfs(directory))


def fill(directory: Path) -> Path:
    """Write a file until no octet more fits, and return it."""
    filler = directory / ".filler"
    with filler.open("wb", buffering=0) as out:
        for size in (65536, 512, 1):
            try:
                while out.write(b"\0" * size) == size:
                    pass
            except OSError:
                pass
    return filler


def refused(server: Server, message: bytes, rcpt: str = "refused@example.com") -> None:
    with RawClient(server.port) as client:
        reply = client.send(SENDER, rcpt, message)
        assert reply.startswith("451"), reply
        assert client.command("NOOP").startswith("250")


def accepted(server: Server, rcpt: str) -> None:
    with RawClient(server.port) as client:
        reply = client.send(SENDER, rcpt, SMALL)
        assert reply.startswith("250"), reply


@pytest.mark.parametrize("intake, small", [("files", SMALL), ("journal", PAGES)])
def test_no_space_in_the_queue(
    intake: str, small: bytes, mount: Mount, relay_to: RelayTo, tmp_path: Path
) -> None:
    """One entry waits for its retry when the disk fills up; it is delivered all the same."""
    mount(tmp_path / "relay" / "queue")
    later = {("rcpt", "later@example.com"): 1}
    with RecordingSink(
        lambda stage, address, attempt: "451 later" if attempt <= later.get((stage, address), 0) else None
    ) as sink:
        relay = relay_to(sink.port, retries="1h", intake=intake)
        accepted(relay, "later@example.com")
        assert eventually(lambda: sink.attempts["rcpt", "later@example.com"] == 1)
        assert eventually(relay.deferred)
        before = relay.entries()
        for segment in relay.queue.glob(
            "journal.*"
        ):  # no room laid out ahead, which would take the next messages
            os.truncate(segment, len(segment.read_bytes().rstrip(b"\0")))
        filler = fill(relay.queue)
        refused(relay, LARGE)
        refused(relay, small)
        with RawClient(relay.port) as client:  # many entries, one message: all or nothing
            reply = client.send(SENDER, [f"refused@{n}.example.com" for n in range(20)], small)
            assert reply.startswith("451"), reply
        assert relay.entries() == before
        relay.flush()
        sink.wait_for_rcpt("later@example.com")
        assert relay.wait_until_idle()
        assert relay.entries() == []
        filler.unlink()
        accepted(relay, "after@example.com")
        sink.wait_for_rcpt("after@example.com")
        assert len(sink.messages) == 2


def test_a_message_larger_than_what_is_left(
    mount: Mount, relay_to: RelayTo, sink: RecordingSink, tmp_path: Path
) -> None:
    mount(tmp_path / "relay" / "queue")
    relay = relay_to(sink.port)
    for _ in range(3):  # what one refusal left behind would fail the next delivery
        refused(relay, LARGE)
        accepted(relay, "small@example.com")
    sink.wait_for(3)
    assert relay.wait_until_idle()
    assert relay.entries() == []
    assert {got.rcpts for got in sink.messages} == {("small@example.com",)}


def test_no_space_for_the_spool_file(
    mount: Mount, relay_to: RelayTo, sink: RecordingSink, tmp_path: Path
) -> None:
    """spool_after moves a large message to a file while it comes in; that disk may be full as well."""
    spool = tmp_path / "spool"
    mount(spool)
    relay = relay_to(sink.port, config={"connection.ini": f"[main]\nspool_dir={spool}\nspool_after=100000\n"})
    refused(relay, LARGE)
    assert os.listdir(spool) == []
    accepted(relay, "small@example.com")
    sink.wait_for(1)
    assert relay.wait_until_idle()


def test_a_write_that_fails_halfway(relay_to: RelayTo, sink: RecordingSink) -> None:
    """A limit on the size of files makes the write fail that crosses it; this needs no privilege."""
    relay = relay_to(sink.port, config={"log.ini": "[main]\nlevel=warn\n"})
    resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
    refused(relay, LARGE)
    assert relay.entries() == []
    accepted(relay, "small@example.com")
    sink.wait_for(1)
    resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with RawClient(relay.port) as client:
        assert client.send(SENDER, "large@example.com", LARGE).startswith("250")
    sink.wait_for(2)
    assert relay.wait_until_idle()
