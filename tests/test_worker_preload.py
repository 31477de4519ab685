"""What a start does without, and what is loaded afterwards."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext

import pytest

from mta import worker_preload
from mta.worker_preload import Preload
from tests.support.plugins import logger_and_lines
from tests.support.server import ROOT, eventually

LATER = ("dns", "cryptography", "OpenSSL", "email", "http.client", "importlib.metadata", "yaml", "idna")


@pytest.mark.parametrize("module", ["mta.cli", "mta.master", "mta.plugin"])
def test_a_start_does_without_what_may_wait(module: str) -> None:
    code = f"import mta.__main__, {module}, sys; print(*(name for name in {LATER} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_each_piece_is_done_in_turn_whatever_becomes_of_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_preload, "MODULES", ("mta.no_such_module", "no_such_module_anywhere"))
    logger, lines = logger_and_lines()
    done: list[str] = []
    preload = Preload(logger, nullcontext, lambda: done.append("a"), lambda: 1 / 0, lambda: done.append("b"))
    preload.start()
    assert eventually(lambda: done == ["a", "b"])
    assert "No module named 'mta.no_such_module'" in lines[0]
    assert "division by zero" in lines[1]
    preload.stop()


def test_the_modules_are_there() -> None:
    worker_preload.load()
    assert set(worker_preload.MODULES) <= sys.modules.keys()
