"""`haraka --qlist` and `--qstat` beside a real queue directory."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mta.logger import Logger
from mta.message.stream import MessageStream
from mta.notes import Notes
from mta.outbound.qfile import QueueFileName
from mta.outbound.spool import Spool
from mta.outbound.todo import Todo
from mta.smtp.address import Address
from tests.support.command import haraka


@pytest.fixture
def house(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "queue").mkdir()
    return tmp_path


def keep(house: Path, sender: str, *rcpts: str, arrival: int = 0) -> QueueFileName:
    """Put one message into the queue as the server does, and let go of the directory."""
    addresses = [Address.parse(rcpt) for rcpt in rcpts]
    arrival = arrival or int(time.time() * 1000)
    todo = Todo(arrival, addresses[0].host, addresses, Address.parse(sender), Notes(), "UUID.1.1")
    spool = Spool(house / "queue", Logger(), hostname="test")
    spool.open()
    try:
        return spool.commit([todo], MessageStream.from_message(b"Subject: x\r\n\r\nbody\r\n"), arrival)[0]
    finally:
        spool.close()


def test_empty_queue(house: Path) -> None:
    assert haraka("--qlist", "-c", str(house)).stdout == ""
    result = haraka("--qstat", "-c", str(house))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{{ queue_dir: '{house}/queue', queue_count: 0 }}\n"


def test_entries_oldest_first(house: Path) -> None:
    newer = keep(house, "ann@example.com", "b@example.org", "c@example.org", arrival=1795334380246)
    older = keep(house, "<>", "d@example.net", arrival=1795334380000)
    result = haraka("-c", str(house), "--qlist")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"Q: {older} rcpt:1 from:<> domain:example.net",
        f"Q: {newer} rcpt:2 from:<ann@example.com> domain:example.org",
    ]
    assert "queue_count: 2 " in haraka("--qstat", "-c", str(house)).stdout


def test_entry_that_cannot_be_read_is_told_and_the_others_shown(house: Path) -> None:
    good = keep(house, "ann@example.com", "b@example.org")
    bad = keep(house, "ann@example.com", "b@example.org")
    os.truncate(house / "queue" / bad.text, 20)
    result = haraka("--qlist", "-c", str(house))
    assert result.returncode == 1
    assert result.stdout == f"Q: {good} rcpt:1 from:<ann@example.com> domain:example.org\n"
    assert result.stderr.startswith(f"haraka: {bad}: ")
    assert result.stderr.count("\n") == 1


def test_works_beside_the_server_that_owns_the_queue(house: Path) -> None:
    keep(house, "ann@example.com", "b@example.org")
    spool = Spool(house / "queue", Logger(), hostname="test")
    spool.open()
    try:
        assert "queue_count: 1 " in haraka("--qstat", "-c", str(house)).stdout
    finally:
        spool.close()


@pytest.mark.parametrize("flag", ["--qlist", "--qstat"])
def test_no_queue_directory(house: Path, flag: str) -> None:
    (house / "queue").rmdir()
    result = haraka(flag, "-c", str(house))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"haraka: cannot read queue directory {house}/queue: ")
    assert result.stderr.count("\n") == 1
