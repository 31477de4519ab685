"""The queue as the command line shows it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.logger import Logger
from mta.outbound.qfile import QueueFileName
from mta.outbound.spool import Spool
from mta.outbound.spool_errors import SpoolError
from mta.outbound.status import list_queue, stat_queue
from mta.smtp.address import NULL
from tests.support.entries import NOW, SMALL, Message, todo


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "queue", Logger(), hostname="h")
    spool.open()
    yield spool
    spool.close()


def test_list_beside_a_running_server(spool: Spool) -> None:
    bounce = todo(2)
    bounce.mail_from = NULL
    one, two = spool.commit([todo(1, rcpts=3), bounce], Message(SMALL), NOW)
    lines = [str(entry) for entry in list_queue(spool.directory, pytest.fail)]
    assert sorted(lines) == sorted(
        [
            f"Q: {one} rcpt:3 from:<alice@example.org> domain:d1.example.com",
            f"Q: {two} rcpt:1 from:<> domain:d2.example.com",
        ]
    )
    assert str(stat_queue(spool.directory)) == f"{{ queue_dir: '{spool.directory}', queue_count: 2 }}"


def test_corrupt_and_strange_files(spool: Spool) -> None:
    (good,) = spool.commit([todo()], Message(SMALL), NOW)
    bad = QueueFileName.of(NOW, NOW, 0, 1, "aaaaaa", 1, "h")
    for name in (str(bad), "README", f"error.{bad}", f"__tmp__.{bad}"):
        (spool.directory / name).touch()
    problems: list[str] = []
    assert [entry.name for entry in list_queue(spool.directory, problems.append)] == [good]
    assert problems == [f"{bad}: zero bytes"]
    assert stat_queue(spool.directory).queue_count == 2


def test_an_entry_that_goes_while_we_look(spool: Spool) -> None:
    names = spool.commit([todo(1), todo(2)], Message(SMALL), NOW)
    listing = list_queue(spool.directory, pytest.fail)
    first = next(listing)
    for name in names:
        if name != first.name:
            os.unlink(spool.directory / str(name))
    assert list(listing) == []


def test_no_directory(tmp_path: Path) -> None:
    expected = f"cannot read queue directory {tmp_path}/none: No such file or directory"
    with pytest.raises(SpoolError, match=expected):
        stat_queue(tmp_path / "none")
    with pytest.raises(SpoolError, match=expected):
        list(list_queue(tmp_path / "none", pytest.fail))
