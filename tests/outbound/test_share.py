"""Whose an entry is, and what a worker does with the names of others: nothing."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest

from mta.config.rate import Rate
from mta.config.schema import LimitSettings
from mta.logger import Logger
from mta.outbound.limits import DEFAULT_CONCURRENCY, Limits
from mta.outbound.qfile import SET_ASIDE, TEMPORARY, QueueFileName, QueueNamer, new_uniqs
from mta.outbound.share import EVERYTHING, Share
from mta.outbound.spool import Spool
from tests.support.entries import NOW, SMALL, Message, todo

UNIQS = [*islice(new_uniqs(), 200), "8888", "é", "caf\udce9", "\ud800"]


@pytest.mark.parametrize("slots", [1, 2, 3, 16])
def test_each_entry_is_owned_by_exactly_one(slots: int) -> None:
    owners = [[slot for slot in range(slots) if Share(slot, slots).owns(uniq)] for uniq in UNIQS]
    assert {len(each) for each in owners} == {1}
    assert {slot for (slot,) in owners} == set(range(slots))


def test_ownership_is_the_same_in_every_release() -> None:
    assert [Share(0, 2).owns(uniq) for uniq in ("Bzx2Cg", "8888", "aaaaaa")] == [True, False, True]


@pytest.mark.parametrize(
    ("number", "slots", "part"), [(0, 4, 0), (1, 4, 1), (4, 4, 1), (11, 4, 2), (20, 1, 20)]
)
def test_part(number: int, slots: int, part: int) -> None:
    assert Share(0, slots).part(number) == part


def test_new_names_are_our_own_and_stay_so() -> None:
    share = Share(2, 3)
    namer = QueueNamer("h", share)
    names = [namer.new(NOW, NOW) for _ in range(100)]
    assert all(share.owns(name.uniq) for name in names)
    assert len({name.uniq for name in names}) == 100
    assert {namer.next(name, 1, NOW).uniq for name in names} == {name.uniq for name in names}


def test_names_of_old_have_an_owner_too() -> None:
    text = "1484878079415_2_12345_8888.mta1.example.com"
    assert QueueFileName.parse(text).uniq == QueueFileName.parse(text).uniq == "8888"
    assert QueueNamer("h").next(QueueFileName.parse(text), 3, NOW).uniq == "8888"


def opened(queue: Path, share: Share, lines: list[str]) -> Spool:
    spool = Spool(queue, Logger(write=lines.append), hostname="h", share=share)
    spool.open(locked=True)
    return spool


def test_each_worker_walks_through_its_own(tmp_path: Path) -> None:
    everything = Spool(tmp_path, Logger(), hostname="h")
    everything.open()
    names = {str(everything.commit([todo()], Message(SMALL), NOW)[0]) for _ in range(50)}
    found: list[str] = []
    for slot in (0, 1):
        spool = opened(tmp_path, Share(slot, 2), [])
        found += map(str, spool.walk())
        spool.close()
    everything.close()
    assert sorted(found) == sorted(names)


def test_what_others_are_writing_stays_and_what_is_nobody_s_is_told_once(tmp_path: Path) -> None:
    theirs, ours = (str(QueueNamer("h", Share(slot, 2)).new(NOW, NOW)) for slot in (0, 1))
    strange = ["README", f"{TEMPORARY}probe", f"{SET_ASIDE}x"]
    for name in (f"{TEMPORARY}{theirs}", f"{TEMPORARY}{ours}", f"{SET_ASIDE}{theirs}", *strange):
        (tmp_path / name).touch()
    lines: list[str] = []
    second = opened(tmp_path, Share(1, 2), lines)
    assert list(second.walk()) == []
    assert lines == [f"[WARN] [-] [outbound] Removing left over dot-file: {TEMPORARY}{ours}"]
    assert f"{TEMPORARY}{theirs}" in os.listdir(tmp_path)
    lines.clear()
    first = opened(tmp_path, Share(0, 2), lines)
    assert list(first.walk()) == []
    assert sorted(line.split("] ")[-1] for line in lines) == [
        f"'Skipping' error file in queue folder: {SET_ASIDE}{theirs}",
        f"'Skipping' error file in queue folder: {SET_ASIDE}x",
        f"Removing left over dot-file: {TEMPORARY}{theirs}",
        f"Removing left over dot-file: {TEMPORARY}probe",
        "Unrecognized file in queue folder: README",
    ]
    second.close()
    first.close()


def test_limits_are_divided() -> None:
    common = LimitSettings(concurrency=9, rate=Rate(100, 60))
    limits = Limits(
        common, {"small.test": LimitSettings(concurrency=1), "any.test": LimitSettings()}, Share(1, 4)
    )
    assert limits.of("other.test").rate == Rate(100, 240)
    assert [limits.concurrency(name, False, 100) for name in ("other.test", "small.test", "any.test")] == [
        2, 1, DEFAULT_CONCURRENCY // 4,
    ]  # fmt: skip
    assert limits.concurrency("any.test", True, 100) == 100
    assert Limits(common, {}, EVERYTHING).of("other.test") is common
