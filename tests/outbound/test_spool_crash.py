"""kill -9 at each step: what docs/queue.md promises for every state of an entry."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.logger import Logger
from mta.outbound.journal_record import END, MESSAGE, Damage, JournalMail, Record, ended, scan
from mta.outbound.journal_replay import segments_in
from mta.outbound.qfile import SET_ASIDE, TEMPORARY, QueueFileName
from mta.outbound.spool import Spool
from mta.outbound.spool_disk import Disk
from mta.outbound.spool_entry import read_entry
from tests.support.entries import LARGE, SMALL, todo

ROOT = Path(__file__).resolve().parents[2]
OLD, MOVED, REWRITTEN, FORGOTTEN, ALONE = (todo(number).uuid for number in (9, 1, 2, 3, 4))


def kill_at_each_step(directory: Path, intake: str) -> list[Path]:
    command = [sys.executable, "-m", "tests.support.spool_crash", str(directory), intake]
    subprocess.run(command, cwd=ROOT, check=True)
    return sorted(directory.iterdir(), key=lambda path: int(path.name))


@pytest.fixture(scope="module")
def in_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return kill_at_each_step(tmp_path_factory.mktemp("files"), "files")


@pytest.fixture(scope="module")
def in_journal(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return kill_at_each_step(tmp_path_factory.mktemp("journal"), "journal")


@pytest.fixture(params=["in_files", "in_journal"])
def rounds(request: pytest.FixtureRequest) -> list[Path]:
    return request.getfixturevalue(request.param)


def test_every_step_leaves_a_state_of_the_table(in_files: list[Path]) -> None:
    rounds = in_files
    seen = Counter(state for directory in rounds for state in states(directory))
    assert {state for state, _ in seen} == {"S1", "S2", "S3", "S4", "S5"}
    assert all(rewriting for state, rewriting in seen if state == "S4"), "both names only while rewriting"


def states(directory: Path) -> set[tuple[str, bool]]:
    names = {path.name for path in (directory / "queue").iterdir()}
    done = (directory / "done").read_text().split()
    rewriting = done[-1:] == ["rewriting"]
    return {
        (state_of(directory / "queue", name, names), rewriting)
        for name in {name.removeprefix(TEMPORARY).removeprefix(SET_ASIDE) for name in names}
    }


def state_of(queue: Path, name: str, names: set[str]) -> str:
    if SET_ASIDE + name in names:
        assert name not in names and TEMPORARY + name not in names
        return "S5"
    if TEMPORARY + name not in names:
        return "S3"
    if name in names:
        return "S4"
    content = (queue / (TEMPORARY + name)).read_bytes()
    return "S2" if content.endswith(LARGE) and content[4:5] == b"\n" else "S1"


def test_every_step_leaves_a_state_of_the_journal_s_table(in_journal: list[Path]) -> None:
    seen = Counter(state for directory in in_journal for state in journal_states(directory / "queue"))
    assert set(seen) >= {"J2", "J3", "J4", "J4 file"}
    assert any(unfinished(directory / "queue") for directory in in_journal), (
        "none died in the middle of a record"
    )


def journal_states(queue: Path) -> Iterator[str]:
    """Of each entry that has a record."""
    came, done = set[str](), set[str]()
    for found in records(queue):
        if isinstance(found, Record):
            came.update(names_in(found))
            done.update(ended(found.payload) if found.kind == END else ())
    for name in came:
        file = (queue / name).exists()
        yield "J4 file" if name in done and file else "J4" if name in done else "J3" if file else "J2"


def unfinished(queue: Path) -> bool:
    return any(isinstance(found, Damage) and found.unfinished for found in records(queue))


def names_in(found: Record) -> list[str]:
    return [name for name, _ in JournalMail.decode(found.payload).entries] if found.kind == MESSAGE else []


def records(queue: Path) -> Iterator[Record | Damage]:
    for segment in segments_in(os.listdir(queue)):
        yield from scan(segment.marker, (queue / segment.text).read_bytes())


def test_restart_finds_whole_entries_and_all_that_were_acknowledged(rounds: list[Path]) -> None:
    assert len(rounds) > 70, "the life of an entry has more steps than that"
    for directory in rounds:
        check_restart(directory)


def check_restart(directory: Path) -> None:
    done = set((directory / "done").read_text().split())
    found = restarted(directory / "queue")
    assert OLD in found
    if "committed_alone" in done:
        attempts, rcpts = found[ALONE]
        assert rcpts == 1 or "rewritten_alone" not in done, "the recipient that is done is back"
        assert attempts == 2 or "rescheduled_alone" not in done, "the attempt was not counted"
        assert (attempts, rcpts) != (2, 2), "counted before the envelope was written"
        if "held" in done and "releasing" not in done:
            assert is_held(directory / "queue")
        assert not is_held(directory / "queue") or "released" not in done
    if "committed" in done:
        assert REWRITTEN in found
        assert MOVED in found or "quarantining" in done
        assert FORGOTTEN in found or "forgetting" in done
    if "rescheduled" in done and MOVED in found:
        assert found[MOVED][0] == 1, "the attempt was not counted"
    if "rewritten" in done:
        assert found[REWRITTEN][1] == 1, "the recipient that is done is back"
    if "forgotten" in done:
        assert FORGOTTEN not in found
    if "quarantined" in done:
        assert MOVED not in found
        assert any(path.name.startswith(SET_ASIDE) for path in (directory / "queue").iterdir())


def is_held(queue: Path) -> bool:
    names = [path.name for path in queue.iterdir() if path.name[0].isdecimal()]
    return any(QueueFileName.parse(name).is_held for name in names)


def restarted(queue: Path) -> dict[str, tuple[int, int]]:
    """What a new process finds, by uuid: attempts and number of recipients. Every message must be whole."""
    lines: list[str] = []
    spool = Spool(queue, Logger(write=lines.append), hostname="h")
    spool.open()
    found = {}
    for name in spool.walk():
        envelope, message = spool.load(name)
        assert envelope.uuid not in found, "one entry under two names"
        assert b"".join(message.chunks()) == (SMALL if envelope.uuid in (OLD, ALONE) else LARGE)
        found[envelope.uuid] = (name.attempts, len(envelope.rcpt_to))
    spool.close()
    left = [path.name for path in queue.iterdir() if path.name.startswith(TEMPORARY)]
    assert left == []
    return found


def test_a_second_restart_finds_the_same(rounds: list[Path]) -> None:
    queue = rounds[len(rounds) // 2] / "queue"
    assert restarted(queue) == restarted(queue)


def test_the_survivor_went_through_all_steps(rounds: list[Path]) -> None:
    assert (rounds[-1] / "done").read_text().split()[-1] == "started_again"
    disk = Disk()
    disk.open_directory(rounds[-1] / "queue")
    names = [name for name in disk.names() if not name.startswith(SET_ASIDE)]
    assert {read_entry(disk, name).todo.uuid for name in names} == {OLD, REWRITTEN, ALONE}
    disk.close_directory()
