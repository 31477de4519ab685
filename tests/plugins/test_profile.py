"""profile: samples of what really runs, in whichever greenlet, in files that only their owner reads."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

from tests.support.client import RawClient
from tests.support.plugins import logger_and_lines, plugins_of
from tests.support.server import RELAY_CONFIG, Server, eventually

BURN = '''
import time
from mta.plugin import Plugin

def first_half(end):
    while time.monotonic() < end:
        pass

def second_half(end):
    while time.monotonic() < end:
        pass

class Burn(Plugin):
    """Computes, and gives way in between, so that samples fall into several greenlets."""

    def hook_noop(self, connection, argument):
        work = first_half if argument == "first" else second_half
        for _ in range(10):
            work(time.monotonic() + 0.03)
            time.sleep(0.001)
'''
LINE = re.compile(r"(?:[^;]+(?:;[^;]+)*) \d+")


def server(directory: Path, ini: str) -> Server:
    config = {**RELAY_CONFIG, "plugins": "profile\nburn\n", "profile.ini": f"[main]\n{ini}"}
    config["smtp.ini"] += "nodes=0\n"
    return Server(directory, config, {"burn.py": BURN})


def burn(port: int) -> None:
    with RawClient(port) as one, RawClient(port) as other:
        one.write(b"NOOP first\r\n")
        other.write(b"NOOP second\r\n")
        assert one.read().startswith("250") and other.read().startswith("250")


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("profile/profile.*.folded"))


def test_functions_of_several_greenlets_are_found_each_with_its_own_stack(tmp_path: Path) -> None:
    with server(tmp_path, "interval=1\nseconds=3600\n") as running:
        burn(running.port)
    [path] = files(tmp_path)
    lines = path.read_text().splitlines()
    assert lines and all(LINE.fullmatch(line) for line in lines)
    for function in ("first_half", "second_half"):
        stacks = [line for line in lines if f";{function} (plugins/burn.py:" in line]
        assert sum(int(line.rpartition(" ")[2]) for line in stacks) > 10
        assert all("Burn.hook_noop" in line and "Session._serve_one" in line for line in stacks)
    assert not [line for line in lines if "first_half" in line and "second_half" in line]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "profile written" in running.log


def test_it_is_switched_on_and_off_while_the_server_runs(tmp_path: Path) -> None:
    with server(tmp_path, "enabled=false\ninterval=1\n") as running:
        burn(running.port)
        ini = tmp_path / "config" / "profile.ini"
        ini.write_text("[main]\ninterval=1\n")
        assert eventually(lambda: burn(running.port) or timer_runs(running.pid))
        assert files(tmp_path) == []
        burn(running.port)
        ini.write_text("[main]\nenabled=false\n")
        assert eventually(lambda: files(tmp_path))
        assert "second_half" in files(tmp_path)[0].read_text()


def timer_runs(pid: int) -> bool:
    """True when the process catches SIGPROF."""
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught[1], 16) >> 26 & 1)


def test_old_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    for number in range(5):
        old = tmp_path / "profile" / f"profile.1.{number}.folded"
        old.write_text("x 1\n")
        os.utime(old, (number, number))
    (tmp_path / "profile" / "mine.txt").write_text("kept")
    with server(tmp_path, "interval=1\nkeep=2\n") as running:
        burn(running.port)
    left = files(tmp_path)
    assert len(left) == 2 and tmp_path / "profile" / "profile.1.4.folded" in left
    assert (tmp_path / "profile" / "mine.txt").exists()


def test_nothing_done_is_nothing_written(tmp_path: Path) -> None:
    [plugin] = plugins_of(tmp_path, ["profile"], {}, logger_and_lines()[0])
    plugin.save(plugin.sampler.stacks, plugin.cfg)
    assert files(tmp_path) == []


def test_stacks_without_end_are_counted_together(tmp_path: Path) -> None:
    [plugin] = plugins_of(tmp_path, ["profile"], {}, logger_and_lines()[0])
    sampler = plugin.sampler
    sampler.stacks.update({(number,): 1 for number in range(20_000)})  # type: ignore[dict-item]
    sampler.sample(0, sys._getframe())
    sampler.sample(0, sys._getframe())
    assert sampler.stacks[()] == 2 and len(sampler.stacks) == 20_001
