"""python-slimta: throws the mail away, or keeps it on the disk and relays it. Run with a directory."""

import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import gevent.monkey

gevent.monkey.patch_all()

# Its storage imports pyaio, which no longer builds. Reads and writes from and to the page cache do not wait, so the plain
# calls take their place; slimta never syncs.
pyaio = types.ModuleType("pyaio")


def aio_write(fd: int, data: bytes, offset: int, done: Callable[[int, int], None]) -> None:
    done(os.pwrite(fd, data, offset), 0)


def aio_read(fd: int, offset: int, size: int, done: Callable[[bytes, int, int], None]) -> None:
    data = os.pread(fd, size, offset)
    done(data, len(data), 0)


pyaio.aio_write, pyaio.aio_read = aio_write, aio_read
sys.modules["pyaio"] = pyaio

from slimta.diskstorage import DiskStorage  # noqa: E402
from slimta.edge.smtp import SmtpEdge, SmtpSession  # noqa: E402
from slimta.envelope import Envelope  # noqa: E402
from slimta.queue import Queue  # noqa: E402
from slimta.relay.smtp.static import StaticSmtpRelay  # noqa: E402

KEPT_SECONDS = 10.0  # a connection to the next hop is used again in this time


class Session(SmtpSession):
    """Without the question to the DNS for the client's name, which no other server asks here."""

    def BANNER_(self, reply: object) -> None:
        self._call_validator("banner", reply, self.address)


class Discard:
    """A queue that keeps nothing."""

    def enqueue(self, envelope: Envelope) -> list[tuple[Envelope, str]]:
        return [(envelope, "discarded")]


def relay(directory: Path, next_hop: int) -> Queue:
    """Return a running queue on the disk that hands all to one port over at most 10 connections."""
    folders = [directory / name for name in ("env", "meta", "tmp")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    static = StaticSmtpRelay(
        "127.0.0.1", next_hop, pool_size=10, ehlo_as="slimta.test", idle_timeout=KEPT_SECONDS
    )
    queue = Queue(DiskStorage(*map(str, folders)), static)
    queue.start()
    return queue


def main(directory: Path) -> None:
    config = directory / "config"
    next_hop = (config / "next_hop").read_text()
    queue = relay(directory, int(next_hop)) if next_hop else Discard()
    edge = SmtpEdge(
        ("127.0.0.1", int((config / "port").read_text())),
        queue,
        hostname="slimta.test",
        session_class=Session,
    )
    edge.start()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
