"""One owner for each file of a queue directory: the sweep at start-up never touches what somebody is working on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.monkey import get_original

from mta.logger import Logger
from mta.outbound.qfile import HELD_MS, TEMPORARY, QueueFileName
from mta.outbound.spool import Spool, SpoolError
from tests.support.disk import SteppingDisk
from tests.support.entries import NOW, SMALL, Message, todo

OLD = 60  # entries that were there before
LEFT = 1500  # left over files: more names than the system gives at once, so that new ones turn up in the midst of them
NEW = 40  # messages that come meanwhile, of two entries each
MOVES = 40  # old entries that are moved, held, released and rewritten while others are still being read

_sleep: Callable[[float], None] = get_original("time", "sleep")


def dawdle(step: str, name: str) -> None:
    """Hold up the thread that works on the disk for a moment, so that everything else overtakes it."""
    if random.random() < 0.1:
        _sleep(random.random() * 0.002)


class Names(SteppingDisk):
    """A slow disk that reads names one by one."""

    def names(self) -> Iterator[str]:
        for name in super().names():
            self.before("name", name)
            yield name


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    queue = tmp_path / "queue"
    before = Spool(queue, Logger(write=lambda line: None), hostname="h")
    before.open()
    before.commit([todo(n, rcpts=2) for n in range(OLD)], Message(SMALL), NOW)
    before.close()
    for n in range(LEFT):
        (queue / f"{TEMPORARY}{NOW}_{NOW}_0_1_left_{n}_h").write_bytes(b"torn")
    found = Spool(queue, Logger(write=lambda line: None), hostname="h", disk=Names(dawdle))
    found.open()
    yield found
    found.close()


def test_the_sweep_and_live_work_side_by_side(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta.outbound.spool_walk.NAMES_AT_ONCE", 7)
    seen: list[QueueFileName] = []
    now_at: dict[str, QueueFileName] = {}

    def walk() -> None:
        for name in spool.walk():
            seen.append(name)
            now_at[name.text] = name

    def commit(n: int) -> list[QueueFileName]:
        return spool.commit([todo(1000 + n), todo(2000 + n)], Message(SMALL), NOW)

    def move() -> None:
        for at in range(MOVES):
            while len(seen) <= at:
                gevent.sleep(0.001)
            name = seen[at]
            held = spool.reschedule(name, 1, HELD_MS)
            spool.rewrite(held, todo(at, rcpts=1))
            now_at[name.text] = spool.reschedule(held, 2, NOW + 1000)

    walker = gevent.spawn(walk)
    movers = [gevent.spawn(move)]
    commits = [gevent.spawn_later(n * 0.005, commit, n) for n in range(NEW)]
    gevent.joinall([walker, *movers, *commits], raise_error=True, timeout=50)
    fresh = [name for job in commits for name in job.value]
    assert len(seen) == len(set(seen)) == OLD, "each old entry once, and no new one"
    assert not set(seen) & set(fresh)
    expected = {name.text for name in [*now_at.values(), *fresh]}
    assert {path.name for path in spool.directory.iterdir()} == expected, (
        "left over files are gone, all others there"
    )
    for name in fresh:
        _, message = spool.load(name)
        assert b"".join(message.chunks()) == SMALL
    assert {len(spool.load(name)[0].rcpt_to) for name in now_at.values() if name.attempts == 2} == {1}


def test_who_is_refused_touches_nothing(tmp_path: Path) -> None:
    """A second server must not even sweep: the temporary files may be live commits of the first."""
    queue = tmp_path / "queue"
    first, second = (Spool(queue, Logger(write=lambda line: None), hostname=name) for name in ("one", "two"))
    first.open()
    first.commit([todo(1)], Message(SMALL), NOW)
    (queue / f"{TEMPORARY}{NOW}_{NOW}_0_1_live_1_one").write_bytes(b"being written")
    names = {path.name for path in queue.iterdir()}
    with pytest.raises(SpoolError, match="in use by process"):
        second.open()
    second.close()
    assert {path.name for path in queue.iterdir()} == names
    first.close()
