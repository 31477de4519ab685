"""The spool on a real directory, with a disk that fails where it is told to."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.monkey import get_original

from mta.logger import Logger
from mta.outbound.qfile import SET_ASIDE, TEMPORARY, QueueFileName
from mta.outbound.spool import CorruptEntry, EntryGone, Spool, SpoolError
from mta.outbound.spool_disk import Disk
from tests.support.disk import FailAt, Notebook, SteppingDisk
from tests.support.entries import LARGE, NOW, SMALL, Message, todo

ROOT = Path(__file__).resolve().parents[2]

Open = Callable[..., Spool]


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.logger = Logger(write=self.lines.append)

    def __contains__(self, text: str) -> bool:
        return any(text in line for line in self.lines)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture
def opened(queue: Path, log: Log) -> Iterator[Open]:
    spools = []

    def make(disk: Disk | None = None) -> Spool:
        spool = Spool(queue, log.logger, hostname="mx_1.example.org", disk=disk)
        spools.append(spool)
        spool.open()
        return spool

    yield make
    for spool in spools:
        spool.close()


@pytest.fixture
def spool(opened: Open) -> Spool:
    return opened()


def content(spool: Spool, name: QueueFileName) -> bytes:
    return b"".join(spool.load(name)[1].chunks())


# -- commit


def test_commit_writes_haraka_s_file(spool: Spool, queue: Path) -> None:
    (name,) = spool.commit([todo()], Message(SMALL), NOW, NOW + 5)
    data = (queue / str(name)).read_bytes()
    length = int.from_bytes(data[:4], "big")
    assert data[4 : 4 + length] == todo().encode()
    assert data[4 + length :] == SMALL
    assert data[4:6] == b"\n{" and data[2 + length : 4 + length] == b"}\n"
    assert str(name).split("_")[:4] == [str(NOW), str(NOW + 5), "0", str(os.getpid())]
    assert str(name).endswith(r"_mx\1371.example.org")
    assert stat.S_IMODE((queue / str(name)).stat().st_mode) == 0o600


def test_all_entries_of_a_message(spool: Spool, queue: Path) -> None:
    names = spool.commit([todo(1), todo(2, rcpts=2)], Message(SMALL[:5], b"", SMALL[5:]), NOW)
    assert sorted(map(str, names)) == sorted(os.listdir(queue))
    assert len({name.uniq for name in names}) == 2
    assert [spool.load(name)[0] for name in names] == [todo(1), todo(2, rcpts=2)]
    assert [content(spool, name) for name in names] == [SMALL, SMALL]


@pytest.mark.parametrize(("given", "kept"), [(b"", b""), (b"a: b", b"a: b\r\n"), (b"a\r", b"a\r\r\n")])
def test_a_message_always_ends_a_line(spool: Spool, given: bytes, kept: bytes) -> None:
    (name,) = spool.commit([todo()], Message(given), NOW)
    assert content(spool, name) == kept
    (name,) = spool.commit([todo()], Message(*(given[i : i + 1] for i in range(len(given)))), NOW)
    assert content(spool, name) == kept


def test_a_disk_that_takes_a_little_at_a_time(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    (name,) = spool.commit([todo()], Message(SMALL), NOW)
    assert content(spool, name) == SMALL


def test_data_then_name_then_directory(opened: Open) -> None:
    book = Notebook()
    spool = opened(SteppingDisk(book))
    book.calls.clear()
    names = [str(name) for name in spool.commit([todo(1), todo(2)], Message(SMALL), NOW)]
    steps = ("create", "write", "write_rest", "sync", "close")
    files = [(step, TEMPORARY + name) for name in names for step in steps]
    assert book.calls == [
        *files,
        *(("rename", TEMPORARY + name) for name in names),
        ("sync_directory", ""),
    ]


def test_what_comes_together_is_synced_together(opened: Open, queue: Path) -> None:
    book = Notebook()
    spool = opened(SteppingDisk(book))
    jobs = [gevent.spawn(spool.commit, [todo(number)], Message(SMALL), NOW) for number in range(20)]
    gevent.joinall(jobs, raise_error=True)
    assert sorted(str(job.value[0]) for job in jobs) == sorted(os.listdir(queue))
    # The first finds nobody under way and goes alone or with whoever came in the same turn; one more takes the rest.
    assert 1 <= book.count("sync_directory") <= 2
    assert book.count("sync") == 20


def test_the_event_loop_runs_while_the_disk_does_not(opened: Open) -> None:
    sleep = get_original("time", "sleep")
    spool = opened(
        SteppingDisk(lambda step, name: sleep(0.05) if step in ("sync", "read", "unlink") else None)
    )
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            gevent.sleep(0.005)
            turns += 1

    counter = gevent.spawn(count)
    (name,) = spool.commit([todo()], Message(SMALL), NOW)
    spool.load(name)
    spool.forget(name)
    counter.kill()
    assert turns >= 10


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("number", range(1, 14))
def test_a_commit_that_fails_leaves_nothing(opened: Open, queue: Path, number: int, error: int) -> None:
    fail = FailAt(number, error)
    spool = opened(SteppingDisk(fail))
    fail.armed = True
    with pytest.raises(SpoolError, match=f"cannot write to the queue: {os.strerror(error)}"):
        spool.commit([todo(1), todo(2)], Message(SMALL), NOW)
    assert fail.failed
    assert os.listdir(queue) == []
    (name,) = spool.commit([todo()], Message(SMALL), NOW)
    assert content(spool, name) == SMALL


def test_those_were_all_steps_of_a_commit(opened: Open) -> None:
    fail = FailAt(14, errno.EIO)
    spool = opened(SteppingDisk(fail))
    fail.armed = True
    spool.commit([todo(1), todo(2)], Message(SMALL), NOW)
    assert not fail.failed


def test_what_cannot_be_taken_back_is_told(opened: Open, queue: Path, log: Log) -> None:
    fail = FailAt(13, errno.EIO, also="unlink")
    spool = opened(SteppingDisk(fail))
    fail.armed = True
    with pytest.raises(SpoolError):
        spool.commit([todo(1), todo(2)], Message(SMALL), NOW)
    for name in os.listdir(queue):
        assert f"cannot remove {name} of a message that was not accepted" in log
    assert len(os.listdir(queue)) == 2


def test_one_message_that_fails_does_not_hurt_its_neighbours(opened: Open, queue: Path) -> None:
    full: set[str] = set()

    def before(step: str, name: str) -> None:
        if step == "write_rest" and not full:
            full.add(name)
            raise OSError(errno.ENOSPC, "full")

    spool = opened(SteppingDisk(before))
    jobs = [gevent.spawn(spool.commit, [todo(number)], Message(SMALL), NOW) for number in range(4)]
    gevent.joinall(jobs)
    assert [type(job.exception) for job in jobs] == [SpoolError, type(None), type(None), type(None)]
    assert sorted(str(job.value[0]) for job in jobs[1:]) == sorted(os.listdir(queue))


def test_a_directory_sync_that_fails_fails_the_batch(opened: Open, queue: Path) -> None:
    fail = FailAt(0, errno.EIO, also="sync_directory")
    fail.failed = "always"
    spool = opened(SteppingDisk(fail))
    fail.armed = True
    jobs = [gevent.spawn(spool.commit, [todo(number)], Message(SMALL), NOW) for number in range(4)]
    gevent.joinall(jobs)
    assert [type(job.exception) for job in jobs] == [SpoolError] * 4
    assert os.listdir(queue) == []


def test_a_message_that_cannot_be_read_fails_alone(spool: Spool, queue: Path) -> None:
    class Broken(Message):
        def chunks(self) -> Iterator[bytes]:
            yield SMALL
            raise RuntimeError("the body is broken")

    broken = gevent.spawn(spool.commit, [todo()], Broken(SMALL), NOW)
    sound = gevent.spawn(spool.commit, [todo()], Message(SMALL), NOW)
    gevent.joinall([broken, sound])
    assert isinstance(broken.exception, RuntimeError)
    assert os.listdir(queue) == [str(sound.value[0])]


def test_a_commit_nobody_waits_for_is_taken_back(opened: Open, queue: Path) -> None:
    sleep = get_original("time", "sleep")
    spool = opened(SteppingDisk(lambda step, name: sleep(0.05) if step == "sync" else None))
    under_way = gevent.spawn(spool.commit, [todo(1)], Message(SMALL), NOW)
    gevent.sleep(0.01)
    gathered = gevent.spawn(spool.commit, [todo(2)], Message(SMALL), NOW)
    kept = gevent.spawn(spool.commit, [todo(3)], Message(SMALL), NOW)
    gevent.sleep(0.01)
    gevent.killall([under_way, gathered])
    kept.join()
    while len(os.listdir(queue)) > 1:  # the pytest timeout ends this if it is never true
        gevent.sleep(0.005)
    assert os.listdir(queue) == [str(kept.value[0])]


def test_a_closed_spool_takes_nothing(spool: Spool) -> None:
    spool.close()
    spool.close()
    with pytest.raises(SpoolError, match=r"^the spool is closed$"):
        spool.commit([todo()], Message(SMALL), NOW)
    with pytest.raises(SpoolError, match=r"^the spool is closed$"):
        spool.forget(QueueFileName.of(1, 1, 0, 1, "x", 1, "h"))


# -- entries


@pytest.mark.parametrize("message", [SMALL, LARGE], ids=["small", "large"])
def test_load(spool: Spool, message: bytes) -> None:
    (name,) = spool.commit([todo(rcpts=3)], Message(message), NOW)
    envelope, stored = spool.load(name)
    assert envelope == todo(rcpts=3)
    assert stored.size == len(message)
    side_by_side = list(zip(stored.chunks(), stored.chunks(), strict=True))
    assert b"".join(one for one, _ in side_by_side) == b"".join(two for _, two in side_by_side) == message
    assert max(len(one) for one, _ in side_by_side) <= 256 * 1024


def test_a_todo_longer_than_the_first_read(spool: Spool) -> None:
    (name,) = spool.commit([todo(rcpts=2000)], Message(SMALL), NOW)
    envelope, message = spool.load(name)
    assert len(envelope.rcpt_to) == 2000
    assert b"".join(message.chunks()) == SMALL


@pytest.mark.parametrize("message", [SMALL, LARGE], ids=["small", "large"])
def test_a_stored_message_can_be_committed_again(spool: Spool, message: bytes) -> None:
    (name,) = spool.commit([todo(1)], Message(message), NOW)
    (copy,) = spool.commit([todo(2)], spool.load(name)[1], NOW)
    assert content(spool, copy) == message


def test_a_bare_line_feed_at_the_end_gets_a_line_end(spool: Spool, queue: Path) -> None:
    (name,) = spool.commit([todo()], Message(SMALL), NOW)
    with open(queue / str(name), "ab") as file:
        file.write(b"injected\n")
    message = spool.load(name)[1]
    assert b"".join(message.chunks()) == SMALL + b"injected\n\r\n"
    assert message.size == len(SMALL) + 11


def test_reschedule(spool: Spool, queue: Path) -> None:
    (name,) = spool.commit([todo()], Message(SMALL), NOW)
    moved = spool.reschedule(name, 1, NOW + 64_000)
    assert os.listdir(queue) == [str(moved)]
    assert (moved.attempts, moved.next_attempt) == (1, NOW + 64_000)
    assert (moved.arrival, moved.pid, moved.uniq) == (name.arrival, name.pid, name.uniq)
    assert content(spool, moved) == SMALL
    with pytest.raises(EntryGone):
        spool.reschedule(name, 1, NOW)
    with pytest.raises(EntryGone):
        spool.load(name)


@pytest.mark.parametrize("message", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_rewrite_keeps_the_message(spool: Spool, queue: Path, message: bytes) -> None:
    (name,) = spool.commit([todo(rcpts=3)], Message(message), NOW)
    loaded_before = spool.load(name)[1]
    spool.rewrite(name, todo(rcpts=1))
    assert os.listdir(queue) == [str(name)]
    assert spool.load(name)[0] == todo(rcpts=1)
    assert content(spool, name) == b"".join(loaded_before.chunks()) == message


def test_rewrite_is_not_kept_back_by_what_a_crash_left(spool: Spool, queue: Path) -> None:
    (name,) = spool.commit([todo(rcpts=3)], Message(LARGE), NOW)
    (queue / f"{TEMPORARY}{name}").write_bytes(b"torn")
    spool.rewrite(name, todo(rcpts=1))
    assert os.listdir(queue) == [str(name)]
    assert spool.load(name)[0] == todo(rcpts=1)
    assert content(spool, name) == LARGE


def test_rewrite_is_durable_before_it_replaces(opened: Open) -> None:
    book = Notebook()
    spool = opened(SteppingDisk(book))
    (name,) = spool.commit([todo(rcpts=3)], Message(SMALL), NOW)
    book.calls.clear()
    spool.rewrite(name, todo(rcpts=1))
    steps = [step for step, _ in book.calls if step in ("write_rest", "sync", "rename", "sync_directory")]
    assert steps == ["write_rest", "sync", "rename", "sync_directory"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("number", range(1, 13))
def test_a_rewrite_that_fails_leaves_a_whole_entry(
    opened: Open, queue: Path, number: int, error: int
) -> None:
    fail = FailAt(number, error)
    spool = opened(SteppingDisk(fail))
    (name,) = spool.commit([todo(rcpts=3)], Message(SMALL), NOW)
    fail.armed = True
    with pytest.raises(SpoolError, match=f"cannot rewrite .*: {os.strerror(error)}"):
        spool.rewrite(name, todo(rcpts=1))
    assert os.listdir(queue) == [str(name)]
    envelope, message = spool.load(name)
    renamed = fail.failed == "sync_directory" or (fail.failed == "close" and number > 9)
    assert len(envelope.rcpt_to) == (1 if renamed else 3)
    assert b"".join(message.chunks()) == SMALL


def test_forget_and_quarantine(spool: Spool, queue: Path) -> None:
    one, two = spool.commit([todo(1), todo(2)], Message(SMALL), NOW)
    spool.forget(one)
    spool.forget(one)
    spool.quarantine(two)
    assert os.listdir(queue) == [f"{SET_ASIDE}{two}"]
    with pytest.raises(EntryGone):
        spool.quarantine(two)


@pytest.mark.parametrize("step", ["rename", "unlink", "open", "stat", "read"])
def test_errors_name_the_file(opened: Open, step: str) -> None:
    fail = FailAt(0, errno.EIO, also=step)
    spool = opened(SteppingDisk(fail))
    (name,) = spool.commit([todo()], Message(SMALL), NOW)
    fail.armed, fail.failed = True, "always"
    calls: dict[str, Callable[[], object]] = {
        "rename": lambda: spool.reschedule(name, 1, NOW),
        "unlink": lambda: spool.forget(name),
    }
    with pytest.raises(SpoolError, match=r"^cannot \w+ \d+_.*: Input/output error$"):
        calls.get(step, lambda: spool.load(name))()
    fail.armed = False
    assert content(spool, name) == SMALL


CORRUPT = {
    "zero bytes": b"",
    "only 3 bytes": b"\0\0\0",
    "the todo should have 4294967295 bytes": b"\xff\xff\xff\xff{}",
    "the todo should have 300 bytes": (300).to_bytes(4, "big") + todo().encode()[:250],
    "not JSON": (5).to_bytes(4, "big") + b"\n{\x80}\n" + SMALL,
    "not JSON: Unterminated": (4).to_bytes(4, "big") + b'\n{"a' + SMALL,
    "not a JSON object": (4).to_bytes(4, "big") + b"[1]\n" + SMALL,
    "cut off": len(todo().encode()).to_bytes(4, "big") + todo().encode() + SMALL[:-3],
}


@pytest.mark.parametrize("why", CORRUPT)
def test_corrupt_entries(spool: Spool, queue: Path, why: str, capfd: pytest.CaptureFixture[str]) -> None:
    name = QueueFileName.of(NOW, NOW, 0, 1, "aaaaaa", 1, "h")
    (queue / str(name)).write_bytes(CORRUPT[why])
    with pytest.raises(CorruptEntry, match=why):
        spool.load(name)
    spool.quarantine(name)
    assert os.listdir(queue) == [f"{SET_ASIDE}{name}"]
    assert capfd.readouterr() == ("", ""), "what to tell is up to who asked for the entry"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
def test_what_is_no_file_is_corrupt(spool: Spool, queue: Path, make: Callable[[Path], None]) -> None:
    name = QueueFileName.of(NOW, NOW, 0, 1, "aaaaaa", 1, "h")
    make(queue / str(name))
    with pytest.raises(CorruptEntry, match="not a regular file"):
        spool.load(name)


def test_a_message_that_shrinks_while_it_is_read(spool: Spool, queue: Path) -> None:
    (name,) = spool.commit([todo()], Message(LARGE), NOW)
    chunks = spool.load(name)[1].chunks()
    next(chunks)
    os.truncate(queue / str(name), 400_000)
    with pytest.raises(CorruptEntry, match="changed its size"):
        list(chunks)


# -- start-up


def test_walk(opened: Open, queue: Path, log: Log) -> None:
    queue.mkdir()
    ours = str(QueueFileName.of(NOW, NOW + 9, 3, 77, "uniq66", 5, "h"))
    for name in (ours, f"{NOW}_0_12345_8888.mta1", f"{TEMPORARY}{ours}", "error.x", "README", "caf\udce9"):
        (queue / name).write_bytes(b"x")
    spool = opened()
    found = {str(name): name for name in spool.walk()}
    assert set(found) == {ours, f"{NOW}_0_12345_8888.mta1"}
    assert found[ours].attempts == 3
    assert f"[WARN] [-] [outbound] Removing left over dot-file: {TEMPORARY}{ours}" in log
    assert "[WARN] [-] [outbound] 'Skipping' error file in queue folder: error.x" in log
    assert "[ERROR] [-] [outbound] Unrecognized file in queue folder: README" in log
    assert "Unrecognized file in queue folder: caf" in log
    assert len(log.lines) == 4
    assert not (queue / f"{TEMPORARY}{ours}").exists()


def test_a_walk_through_many_names(opened: Open, queue: Path) -> None:
    queue.mkdir()
    names = {str(QueueFileName.of(NOW, NOW, 0, 1, "uniq66", number, "h")) for number in range(1500)}
    for name in names:
        (queue / name).touch()
    found = [str(name) for name in opened().walk()]
    assert len(found) == 1500 and set(found) == names


def test_walk_passes_over_what_this_process_makes(opened: Open, queue: Path, log: Log) -> None:
    before = opened()
    olds = before.commit([todo(1), todo(2)], Message(SMALL), NOW)
    before.close()
    in_use: list[str] = []
    spool = opened(SteppingDisk(lambda step, name: in_use.append(name) if step == "sync" else None))
    spool.commit([todo(3)], Message(SMALL), NOW)  # after open(), before the walk
    walk = spool.walk()
    first = next(walk)
    spool.reschedule(first, 1, NOW + 1)
    (queue / in_use[0]).touch()  # as if it were still being written
    found = [first, *walk]
    assert sorted(map(str, found)) == sorted(map(str, olds))
    assert (queue / in_use[0]).exists()
    assert log.lines == []


def test_a_walk_passes_over_what_moves_ahead_of_it(opened: Open, queue: Path) -> None:
    queue.mkdir()
    names = {str(QueueFileName.of(NOW, NOW, 0, 1, "uniq66", number, "h")) for number in range(2000)}
    for name in names:
        (queue / name).touch()
    spool = opened()
    walk = spool.walk()
    seen = [next(walk) for _ in range(50)]
    for name in seen:
        spool.reschedule(name, 1, NOW + 1)
    seen.extend(walk)
    assert len(seen) == 2000 and set(map(str, seen)) == names


def test_a_walk_that_fails(opened: Open, queue: Path) -> None:
    spool = opened()
    queue.rmdir()
    with pytest.raises(SpoolError, match=r"^cannot read the queue: No such file or directory$"):
        list(spool.walk())
    queue.mkdir()


def test_a_walk_that_failed_at_once_may_be_tried_again(opened: Open, queue: Path) -> None:
    before = opened()
    old = before.commit([todo(1)], Message(SMALL), NOW)
    before.close()
    spool = opened()
    (new,) = spool.commit([todo(2)], Message(SMALL), NOW)
    queue.rename(queue.with_name("away"))
    with pytest.raises(SpoolError):
        list(spool.walk())
    queue.with_name("away").rename(queue)
    assert list(spool.walk()) == old, f"without {new}, which was made meanwhile"


# -- open


def test_open_makes_a_durable_directory(queue: Path) -> None:
    spool = Spool(queue, Logger(), hostname="h")
    spool.open()
    assert stat.S_IMODE(queue.stat().st_mode) == 0o750
    assert os.listdir(queue) == []
    spool.close()


def refusal(path: Path, disk: Disk | None = None) -> str:
    spool = Spool(path, Logger(), hostname="h", disk=disk)
    with pytest.raises(SpoolError) as caught:
        spool.open()
    return str(caught.value)


def test_open_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file") == f"queue directory {tmp_path}/file is not a directory"


def test_open_without_a_parent(tmp_path: Path) -> None:
    path = tmp_path / "no" / "queue"
    assert refusal(path) == f"cannot use queue directory {path}: No such file or directory"


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS])
def test_open_what_cannot_be_written(tmp_path: Path, error: int) -> None:
    fail = FailAt(0, error, also="create")
    fail.armed, fail.failed = True, "always"
    expected = f"queue directory {tmp_path} is not writable: {os.strerror(error)}"
    assert refusal(tmp_path, SteppingDisk(fail)) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_open_what_belongs_to_somebody_else() -> None:
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        os.seteuid(65534)
        try:
            assert refusal(Path(path)) == f"queue directory {path} is not writable: Permission denied"
        finally:
            os.seteuid(0)


def test_a_full_disk_does_not_stop_the_start(opened: Open, queue: Path) -> None:
    fail = FailAt(0, errno.ENOSPC, also="create")
    fail.armed, fail.failed = True, "always"
    spool = opened(SteppingDisk(fail))
    with pytest.raises(SpoolError, match="No space left on device"):
        spool.commit([todo()], Message(SMALL), NOW)


def test_two_spools_on_one_directory(spool: Spool, queue: Path) -> None:
    assert refusal(queue) == f"queue directory {queue} is in use by process {os.getpid()}"
    spool.close()
    again = Spool(queue, Logger(), hostname="h")
    again.open()
    again.close()


def test_the_lock_of_another_process_ends_with_it(queue: Path) -> None:
    program = (
        "import sys, pathlib; from mta.logger import Logger; from mta.outbound.spool import Spool\n"
        f"Spool(pathlib.Path({str(queue)!r}), Logger(), hostname='h').open(); print('open', flush=True)\n"
        "sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=pipe, stdout=pipe) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"open\n"
        assert refusal(queue) == f"queue directory {queue} is in use by process {owner.pid}"
        owner.kill()
    spool = Spool(queue, Logger(), hostname="h")
    spool.open()
    spool.close()
