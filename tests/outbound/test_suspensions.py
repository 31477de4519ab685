"""Suspensions survive a restart, end in time, and a broken file is told."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from mta.outbound.suspensions import EVERYTHING, FILE, Suspension, Suspensions, SuspensionsError


def test_they_are_kept_until_somebody_resumes_them(tmp_path: Path) -> None:
    directory = tmp_path / "queue.state"
    suspensions = Suspensions(directory)
    assert not suspensions and suspensions.of("b.test") is None
    suspensions.suspend(Suspension("b.test", None, "blocked us"))
    suspensions.suspend(Suspension("c.test", time.time() + 3600))
    again = Suspensions(directory)
    assert [each.scope for each in again.all()] == ["b.test", "c.test"]
    found = again.of("b.test")
    assert found is not None and found.reason == "blocked us"
    assert again.resume("b.test") and not again.resume("b.test")
    assert Suspensions(directory).of("b.test") is None
    assert stat.S_IMODE((directory / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_they_end_by_themselves() -> None:
    suspensions = Suspensions(None)
    suspensions.suspend(Suspension("b.test", time.time() - 1))
    assert suspensions.of("b.test") is None
    assert suspensions.all() == [] and not suspensions.resume("b.test")


def test_everything_is_a_scope() -> None:
    suspensions = Suspensions(None)
    suspensions.suspend(Suspension(EVERYTHING))
    assert suspensions.of("b.test") is not None
    assert not suspensions.names("b.test")


@pytest.mark.parametrize(
    "text", ["", "{", "{}", '[{"scope": "a"}]', "[1]", '[{"scope": "a", "until": "x", "reason": ""}]']
)
def test_a_broken_file_is_told_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    if text == "{}":
        assert Suspensions(tmp_path).all() == []
        return
    with pytest.raises(SuspensionsError, match=FILE):
        Suspensions(tmp_path)


def test_what_can_not_be_written_is_not_in_force(tmp_path: Path) -> None:
    directory = tmp_path / "queue.state"
    suspensions = Suspensions(directory)
    directory.write_text("a file")
    with pytest.raises(SuspensionsError, match="cannot write"):
        suspensions.suspend(Suspension("b.test"))
    assert suspensions.of("b.test") is None
