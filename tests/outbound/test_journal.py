"""The spool with its journal: what passes through leaves no file behind, and what stays becomes one."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from mta.config.schema import SpoolSettings
from mta.logger import Logger
from mta.outbound import journal, journal_segment, journal_writer, spool_batches
from mta.outbound.journal_name import SegmentName
from mta.outbound.qfile import HELD_MS, SET_ASIDE, TEMPORARY, QueueFileName
from mta.outbound.share import EVERYTHING, Share
from mta.outbound.spool import CorruptEntry, Spool, SpoolError
from mta.outbound.spool_disk import Disk
from mta.outbound.status import list_queue, read_message, stat_queue
from tests.support.disk import FailAt, Notebook, SteppingDisk
from tests.support.entries import LARGE, NOW, SMALL, Message, todo

Open = Callable[..., Spool]


class Place:
    """A queue directory, and the spools that were opened on it."""

    def __init__(self, queue: Path) -> None:
        self.queue = queue
        self.lines: list[str] = []
        self.spools: list[Spool] = []

    def open(self, disk: Disk | None = None, share: Share = EVERYTHING, **settings: object) -> Spool:
        logger = Logger(write=self.lines.append)
        spool = Spool(
            self.queue, logger, hostname="h", disk=disk, share=share, journal=SpoolSettings(**settings)
        )
        spool.open(locked=bool(self.spools))
        self.spools.append(spool)
        return spool

    def files(self) -> list[str]:
        return sorted(name for name in os.listdir(self.queue) if SegmentName.parse(name) is None)

    def segments(self) -> list[Path]:
        return sorted(self.queue / name for name in os.listdir(self.queue) if SegmentName.parse(name))

    def after_a_crash(self, **settings: object) -> "Place":
        """A copy of the directory as it is now, nobody in it."""
        self.copies = getattr(self, "copies", 0) + 1
        copy = self.queue.with_name(f"crash{self.copies}")
        copy.mkdir()
        for name in os.listdir(self.queue):
            (copy / name).write_bytes((self.queue / name).read_bytes())
        return Place(copy)

    def found(self, **arguments: object) -> dict[str, tuple[int, bytes]]:
        """What a new process finds: attempts and message by uuid."""
        spool = self.open(**arguments)
        entries = {}
        for name in spool.walk():
            envelope, message = spool.load(name)
            assert envelope.uuid not in entries, "twice"
            entries[envelope.uuid] = (name.attempts, b"".join(message.chunks()))
        spool.close()
        return entries


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "queue")
    yield place
    for spool in place.spools:
        spool.close()


def commit(spool: Spool, *numbers: int, message: bytes = SMALL) -> list[QueueFileName]:
    return spool.commit([todo(number) for number in numbers or (1,)], Message(message), NOW, passing=True)


def wait_until(true: Callable[[], bool]) -> None:
    with gevent.Timeout(10):
        while not true():
            gevent.sleep(0.005)


# -- what belongs here


def test_what_passes_is_in_a_segment_and_in_no_file(place: Place) -> None:
    spool = place.open()
    (name,) = commit(spool)
    assert place.files() == []
    (segment,) = place.segments()
    assert SMALL in segment.read_bytes() and name.text.encode() in segment.read_bytes()
    assert segment.stat().st_mode & 0o777 == 0o600
    envelope, message = spool.load(name)
    assert (envelope, b"".join(message.chunks())) == (todo(), SMALL)


@pytest.mark.parametrize(
    ("settings", "passing", "message"),
    [
        ({"intake": "files"}, True, SMALL),
        ({}, False, SMALL),
        ({"journal_max_message": len(SMALL) - 1}, True, SMALL),
        ({}, True, LARGE),
    ],
    ids=["by the setting", "not about to be delivered", "too large", "too large by default"],
)
def test_what_does_not_belong_here(place: Place, settings: dict, passing: bool, message: bytes) -> None:
    spool = place.open(**settings)
    (name,) = spool.commit([todo()], Message(message), NOW, passing=passing)
    assert place.files() == [name.text] and place.segments() == []


def test_the_limits_themselves_belong_here(place: Place) -> None:
    spool = place.open(journal_max_message=len(SMALL))
    spool.commit([todo(number) for number in range(journal.MAX_ENTRIES)], Message(SMALL), NOW, passing=True)
    assert place.files() == []
    more = [todo(number) for number in range(journal.MAX_ENTRIES + 1)]
    assert len(spool.commit(more, Message(SMALL), NOW, passing=True)) == len(place.files())


def test_settings_change_while_it_runs(place: Place) -> None:
    spool = place.open()
    commit(spool)
    spool.configure(SpoolSettings(intake="files"))
    (name,) = commit(spool, 2)
    assert place.files() == [name.text]
    spool.configure(SpoolSettings())
    commit(spool, 3)
    assert place.files() == [name.text]


@pytest.mark.parametrize(("given", "kept"), [(b"", b""), (b"a: b", b"a: b\r\n"), (b"a\r", b"a\r\r\n")])
def test_a_message_always_ends_a_line(place: Place, given: bytes, kept: bytes) -> None:
    spool = place.open()
    (name,) = commit(spool, message=given)
    assert b"".join(spool.load(name)[1].chunks()) == kept


# -- steps


def test_data_then_directory_and_later_data_alone(place: Place) -> None:
    book = Notebook()
    spool = place.open(SteppingDisk(book))
    del book.calls[:]
    commit(spool, 1, 2)
    commit(spool, 3)
    steps = [step for step, _ in book.calls]
    assert steps == ["create", "write", "write_rest", "sync", "sync_directory", "write", "write_rest", "sync"]


def test_zeros_are_laid_out_ahead_of_small_writes(place: Place) -> None:
    spool = place.open()
    commit(spool)
    (segment,) = place.segments()
    size = segment.stat().st_size
    assert size > journal_segment.LAID_OUT_AHEAD
    commit(spool, 2)
    assert segment.stat().st_size == size, "the sync of a small write has no new length to write down"
    large = b"x" * (journal_segment.LARGE - 2) + b"\r\n"
    uuids = {todo(1).uuid, todo(2).uuid}
    for number in range(3, 15):  # more than there are zeros for
        commit(spool, number, message=large)
        uuids.add(todo(number).uuid)
    commit(spool, 15)
    assert segment.stat().st_size > size
    assert set(place.after_a_crash().found()) == uuids | {todo(15).uuid}


def test_what_comes_together_is_synced_together(place: Place) -> None:
    book = Notebook()
    spool = place.open(SteppingDisk(book))
    jobs = [gevent.spawn(commit, spool, number) for number in range(20)]
    gevent.joinall(jobs, raise_error=True)
    assert book.count("sync") < 5
    assert len(place.after_a_crash().found()) == 20


def test_an_end_is_written_without_anybody_waiting(place: Place) -> None:
    book = Notebook()
    spool = place.open(SteppingDisk(book))
    (name,) = commit(spool)
    syncs = book.count("sync")
    spool.forget(name)
    spool.forget(name)  # it is no error if it has gone
    wait_until(lambda: not spool._journal.holds(name.text))
    assert book.count("sync") == syncs
    wait_until(lambda: place.after_a_crash().found() == {})
    spool.sync()
    assert book.count("sync") == syncs + 1


def test_ends_gather_for_a_moment_every_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_batches, "LINGER", 0.3)
    book = Notebook()
    spool = place.open(SteppingDisk(book))
    names = commit(spool, *range(1, 10))
    for first, second in zip(names[::2], names[1::2], strict=False):
        book.calls.clear()
        spool.forget(first)
        gevent.sleep(0.01)
        spool.forget(second)
        wait_until(lambda name=second: not spool._journal.holds(name.text) and book.count("write_rest"))
        assert book.count("write") == 1


def test_an_end_goes_with_the_next_message(place: Place) -> None:
    book = Notebook()
    spool = place.open(SteppingDisk(book))
    (first,) = commit(spool)
    book.calls.clear()
    spool.forget(first)
    commit(spool, 2)
    assert book.count("write") == 1
    assert first.text.encode() in place.segments()[0].read_bytes().rpartition(b"d2.example.com")[2]
    assert list(place.after_a_crash().found()) == [todo(2).uuid]


def test_messages_in_memory_and_in_pieces_are_kept_alike(place: Place) -> None:
    spool = place.open()
    commit(spool)
    for number, pieces in enumerate(((SMALL,), (SMALL[:9], SMALL[9:])), start=2):
        spool.commit([todo(number)], Message(*pieces), NOW, passing=True)
    assert {message for _, message in place.after_a_crash().found().values()} == {SMALL}


def test_the_rest_of_a_message_stays_when_some_entries_are_done(place: Place) -> None:
    spool = place.open()
    _, second, _ = commit(spool, 1, 2, 3)
    spool.forget(second)
    spool.sync()
    assert place.after_a_crash().found() == {
        todo(1).uuid: (0, SMALL),
        todo(3).uuid: (0, SMALL),
    }


# -- becoming a file


def test_a_retry_is_a_file(place: Place) -> None:
    spool = place.open()
    name, other = commit(spool, 1, 2)
    new = spool.reschedule(name, 1, NOW + 64_000)
    assert place.files() == [new.text]
    assert spool.load(new)[0] == todo(1)
    assert place.after_a_crash().found() == {todo(1).uuid: (1, SMALL), todo(2).uuid: (0, SMALL)}
    held = spool.reschedule(other, 0, HELD_MS)
    assert place.files() == sorted([new.text, held.text])


def test_a_rewrite_is_a_file(place: Place) -> None:
    spool = place.open()
    (name,) = spool.commit([todo(rcpts=3)], Message(SMALL), NOW, passing=True)
    spool.rewrite(name, todo(rcpts=1))
    assert place.files() == [name.text]
    assert spool.load(name)[0] == todo(rcpts=1)
    spool.forget(name)
    assert place.files() == []
    assert place.after_a_crash().found() == {}


def test_durable_before_it_gets_another_name(place: Place) -> None:
    book = Notebook()
    spool = place.open(SteppingDisk(book))
    (name,) = commit(spool)
    del book.calls[:]
    new = spool.reschedule(name, 1, NOW + 1)
    calls = [call for call in book.calls if call[0] not in ("open", "read", "close", "write_rest")]
    (segment,) = place.segments()
    assert calls == [
        ("create", TEMPORARY + name.text),
        ("write", TEMPORARY + name.text),
        ("sync", TEMPORARY + name.text),
        ("rename", TEMPORARY + name.text),
        ("sync_directory", ""),
        ("write", segment.name),
        ("sync", segment.name),
        ("rename", name.text),
    ]
    assert place.files() == [new.text]


def test_what_is_old_becomes_a_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOOK", 0.01)
    monkeypatch.setattr(journal_writer, "MAX_AGE", 0.2)
    spool = place.open()
    names = [commit(spool, number)[0] for number in range(journal_writer.SLICE + 3)]
    wait_until(lambda: len(place.files()) == len(names) and not place.segments())
    assert [spool.load(name)[0].uuid for name in names] == [todo(number).uuid for number in range(len(names))]
    (late,) = commit(spool, 99)
    spool.forget(late)
    wait_until(lambda: not place.segments())
    for name in names:
        spool.forget(name)
    assert place.files() == []


def test_many_segments_are_too_many(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOOK", 0.01)
    spool = place.open(segment_bytes=65536)
    kept = [commit(spool, number, message=b"x" * 65536 + b"\r\n")[0] for number in range(14)]
    wait_until(lambda: len(place.segments()) == journal_writer.MAX_SEGMENTS)
    files = place.files()
    assert len(files) >= 14 - journal_writer.MAX_SEGMENTS
    assert files == sorted(name.text for name in kept[: len(files)]), "the oldest go"


def test_a_segment_goes_when_nobody_lives_in_it_the_oldest_first(place: Place) -> None:
    spool = place.open(segment_bytes=65536)
    large = b"x" * 65536 + b"\r\n"
    first, second, _ = (commit(spool, number, message=large)[0] for number in range(3))
    paths = place.segments()
    assert len(paths) == 3
    spool.forget(second)
    spool.sync()
    assert set(place.segments()) >= set(paths), "the second one may hold the end of something in the first"
    spool.forget(first)
    spool.sync()
    assert set(place.segments()).isdisjoint(paths[:2])
    assert place.after_a_crash().found() == {todo(2).uuid: (0, large)}


def test_after_a_stop_there_are_files_only(place: Place) -> None:
    spool = place.open()
    name, done, *_ = commit(spool, *range(journal_writer.SLICE * 2 + 5))
    spool.forget(done)
    spool.close()
    assert len(place.files()) == journal_writer.SLICE * 2 + 4
    assert place.segments() == []
    assert name.text in place.files() and done.text not in place.files()


# -- after a crash


def test_what_lived_is_there_again_and_the_segments_are_not(place: Place) -> None:
    spool = place.open()
    names = commit(spool, 1, 2)
    commit(spool, 3)
    spool.forget(names[0])
    spool.sync()
    crash = place.after_a_crash()
    assert crash.found() == {todo(2).uuid: (0, SMALL), todo(3).uuid: (0, SMALL)}
    assert crash.segments() == [] and len(crash.files()) == 2
    assert crash.found() == {todo(2).uuid: (0, SMALL), todo(3).uuid: (0, SMALL)}


def test_damage_is_set_aside_and_the_rest_counts(place: Place) -> None:
    spool = place.open()
    commit(spool, 1)
    commit(spool, 2, message=SMALL * 3)
    commit(spool, 3)
    crash = place.after_a_crash()
    (segment,) = crash.segments()
    data = bytearray(segment.read_bytes())
    middle = data.index(SMALL * 3)
    data[middle] ^= 1
    segment.write_bytes(data)
    assert crash.found() == {todo(1).uuid: (0, SMALL), todo(3).uuid: (0, SMALL)}
    (aside,) = (crash.queue / name for name in crash.files() if name.startswith(SET_ASIDE))
    assert aside.name.startswith(f"{SET_ASIDE}{segment.name}.")
    assert bytes(data[middle : middle + len(SMALL) * 3]) in aside.read_bytes()
    assert aside.stat().st_mode & 0o777 == 0o600
    assert any("damaged bytes" in line and aside.name in line for line in crash.lines)
    crash.lines.clear()
    crash.found()
    assert any("'Skipping' error file" in line for line in crash.lines)


@pytest.mark.parametrize("laid_out", [b"", bytes(5000)])
def test_what_was_never_finished_is_told_and_dropped(place: Place, laid_out: bytes) -> None:
    spool = place.open()
    commit(spool, 1)
    commit(spool, 2)
    crash = place.after_a_crash()
    (segment,) = crash.segments()
    segment.write_bytes(segment.read_bytes().rstrip(b"\0")[:-10] + laid_out)
    assert crash.found() == {todo(1).uuid: (0, SMALL)}
    assert len(crash.files()) == 1 and crash.segments() == []
    assert any("never finished" in line for line in crash.lines)


def test_what_a_crash_in_a_replay_left(place: Place) -> None:
    spool = place.open()
    first, second = commit(spool, 1, 2)
    crash = place.after_a_crash()
    (crash.queue / (TEMPORARY + first.text)).write_bytes(b"half a")
    assert set(crash.found()) == {todo(1).uuid, todo(2).uuid}
    again = place.after_a_crash()
    spool.reschedule(second, 0, NOW)  # a file as well, by its old name, is what a crash in moving out leaves
    (file,) = place.files()
    (again.queue / second.text).write_bytes((place.queue / file).read_bytes())
    assert set(again.found()) == {todo(1).uuid, todo(2).uuid}
    assert again.files() == sorted([first.text, second.text])


@pytest.mark.parametrize("step", ["create", "write", "sync", "rename", "sync_directory", "unlink"])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_disk_that_does_not_let_it_be_replayed(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str, good: int
) -> None:
    """It fails some times, `good` steps of that kind later each time; the rest of the queue does not wait for that."""
    monkeypatch.setattr("mta.outbound.spool_walk.REPLAY_AGAIN", 0.01)
    monkeypatch.setattr("mta.outbound.journal_replay.BATCH", 1)
    spool = place.open(segment_bytes=65536)
    for number in range(3):
        commit(spool, 2 * number, 2 * number + 1, message=b"x" * 70_000 + b"\r\n")
    crash = place.after_a_crash()
    (crash.queue / f"{NOW}_{NOW}_3_1_file_1_h").write_bytes(b"")
    failures, left = [0], [good]

    def before(called: str, name: str) -> None:
        if called == step and failures[0]:
            left[0] -= 1
            if left[0] < 0:
                failures[0] -= 1
                left[0] = good
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = crash.open(SteppingDisk(before))
    failures[0] = 3
    names = [name.text for name in spool.walk()]
    assert len(names) == len(set(names)) == 7
    assert crash.segments() == [] and crash.files() == sorted(names)
    told = sum("trying again in" in line for line in crash.lines)
    assert failures[0] < 3
    assert told == 3 - failures[0] or step == "unlink", (
        "one of a temporary file that is not there does not matter"
    )


def test_the_segments_of_others_are_left_alone(place: Place) -> None:
    commit(place.open(share=Share(0, 2)), 1)
    commit(place.open(share=Share(1, 2)), 2)
    crash = place.after_a_crash()
    assert crash.found(share=Share(1, 2)) == {todo(2).uuid: (0, SMALL)}
    assert len(crash.segments()) == 1
    crash.found(share=Share(0, 3))
    assert len(crash.segments()) == 1, "those of another number of workers the master replays"
    assert set(crash.found()) == {todo(1).uuid, todo(2).uuid}, "one alone takes all"


def test_a_successor_passes_over_what_it_writes_itself(place: Place) -> None:
    commit(place.open(), 1)
    crash = place.after_a_crash()
    spool = crash.open()
    commit(spool, 2)
    assert [spool.load(name)[0].uuid for name in spool.walk()] == [todo(1).uuid]
    assert len(crash.segments()) == 1


# -- when the disk fails


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("number", range(1, 6))
def test_a_commit_that_fails_leaves_nothing(place: Place, number: int, error: int) -> None:
    fail = FailAt(number, error)
    spool = place.open(SteppingDisk(fail))
    fail.armed = True
    with pytest.raises(SpoolError, match=f"cannot write to the queue: {os.strerror(error)}"):
        commit(spool, 1, 2)
    assert fail.failed
    assert place.after_a_crash().found() == {}
    commit(spool, 3)
    assert place.after_a_crash().found() == {todo(3).uuid: (0, SMALL)}
    assert len(place.segments()) == 1, "what failed has been removed"


@pytest.mark.parametrize("number", range(1, 4))
def test_what_was_there_before_stays_when_a_later_commit_fails(place: Place, number: int) -> None:
    fail = FailAt(number, errno.EIO)
    spool = place.open(SteppingDisk(fail))
    commit(spool, 1)
    fail.armed = True
    with pytest.raises(SpoolError):
        commit(spool, 2)
    commit(spool, 3)
    assert len(place.segments()) == 2, "nothing is written again to a file that failed"
    assert set(place.after_a_crash().found()) == {todo(1).uuid, todo(3).uuid}


def test_those_were_all_steps_of_a_commit(place: Place) -> None:
    fail = FailAt(6, errno.EIO)
    spool = place.open(SteppingDisk(fail))
    fail.armed = True
    commit(spool)
    assert not fail.failed


def test_what_cannot_be_taken_back_is_told(place: Place) -> None:
    fail = FailAt(4, errno.EIO, also="truncate")
    spool = place.open(SteppingDisk(fail))
    fail.armed = True
    with pytest.raises(SpoolError):
        commit(spool, 1, 2)
    assert sum("of a message that was not accepted" in line for line in place.lines) == 2


def test_a_message_that_cannot_be_read_fails_alone(place: Place) -> None:
    class Broken(Message):
        def chunks(self) -> Iterator[bytes]:
            yield SMALL
            raise RuntimeError("the body is broken")

    spool = place.open()
    broken = gevent.spawn(spool.commit, [todo(1)], Broken(SMALL), NOW, passing=True)
    sound = gevent.spawn(commit, spool, 2)
    gevent.joinall([broken, sound])
    assert isinstance(broken.exception, RuntimeError)
    assert set(place.after_a_crash().found()) == {todo(2).uuid}


@pytest.mark.parametrize("number", range(1, 10))
def test_moving_out_fails_as_a_whole(place: Place, number: int) -> None:
    fail = FailAt(number, errno.ENOSPC)
    spool = place.open(SteppingDisk(fail))
    (name,) = commit(spool)
    fail.armed = True
    with pytest.raises(SpoolError, match="No space left"):
        spool.reschedule(name, 1, NOW + 1)
    assert place.files() == []
    assert place.after_a_crash().found() == {todo().uuid: (0, SMALL)}
    assert spool.load(name)[0] == todo()
    new = spool.reschedule(name, 1, NOW + 1)
    assert place.files() == [new.text]
    assert place.after_a_crash().found() == {todo().uuid: (1, SMALL)}


@pytest.mark.parametrize("step", ["write", "sync"])
def test_an_end_that_cannot_be_written_is_written_later(place: Place, step: str) -> None:
    failing = [False]

    def before(called: str, name: str) -> None:
        if failing[0] and called == step and name.startswith("journal"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = place.open(SteppingDisk(before))
    name, _ = commit(spool, 1, 2)
    failing[0] = True
    spool.forget(name)
    with pytest.raises(SpoolError, match="cannot sync the journal: No space left"):
        spool.sync()
    failing[0] = False
    spool.sync()
    assert place.after_a_crash().found() == {todo(2).uuid: (0, SMALL)}


def test_a_stop_that_the_disk_does_not_allow_leaves_it_to_the_next_start(place: Place) -> None:
    failing = [False]

    def before(step: str, name: str) -> None:
        if failing[0] and step == "create":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spool = place.open(SteppingDisk(before))
    commit(spool, 1, 2)
    failing[0] = True
    spool.close()
    assert any("cannot make queue files of journal entries: No space left" in line for line in place.lines)
    assert set(place.after_a_crash().found()) == {todo(1).uuid, todo(2).uuid}


def test_a_damaged_entry_is_set_aside(place: Place) -> None:
    spool = place.open()
    name, other = commit(spool, 1)[0], commit(spool, 2)[0]
    (segment,) = place.segments()
    data = segment.read_bytes()
    segment.write_bytes(data.replace(SMALL, SMALL.swapcase(), 1))
    with pytest.raises(CorruptEntry, match=f"{re.escape(segment.name)} is damaged at byte 0"):
        spool.load(name)
    spool.quarantine(name)
    assert place.files() == [SET_ASIDE + name.text]
    assert SMALL.swapcase() in (place.queue / place.files()[0]).read_bytes()
    assert spool.load(other)[0] == todo(2)


def test_a_commit_nobody_waits_for_is_taken_back(place: Place) -> None:
    spool = place.open(SteppingDisk(lambda step, name: gevent.monkey.get_original("time", "sleep")(0.05)))
    waiting = gevent.spawn(commit, spool)
    gevent.sleep(0.02)
    waiting.kill()
    commit(spool, 2)
    wait_until(lambda: set(place.after_a_crash().found()) == {todo(2).uuid})


# -- seen from outside


def test_the_command_line_sees_both(place: Place) -> None:
    spool = place.open()
    first, second = commit(spool, 1, 2)
    spool.reschedule(second, 1, NOW + 1)
    (third,) = spool.commit([todo(3)], Message(LARGE), NOW)
    entries = {entry.todo.uuid: entry for entry in list_queue(place.queue, pytest.fail)}
    assert set(entries) == {todo(1).uuid, todo(2).uuid, todo(3).uuid}
    assert entries[todo(1).uuid].name == first and entries[todo(1).uuid].size == len(SMALL)
    assert stat_queue(place.queue).queue_count == 3
    assert b"".join(read_message(place.queue, first)) == SMALL
    assert b"".join(read_message(place.queue, third)) == LARGE
