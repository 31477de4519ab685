"""Files that change while the server runs, on a real directory with real inotify."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gevent
import pytest

from mta.config import watch
from mta.config.schema import PLUGIN_TIMEOUT, OutboundSettings
from tests.support.install import Install, eventually


@pytest.fixture
def seen() -> list[Any]:
    return []


def open_inotifies() -> int:
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    return [os.readlink(link) for link in links if os.path.islink(link)].count("anon_inode:inotify")


def start(install: Install) -> None:
    install.config.watch()
    time.sleep(0.05)


def test_written_in_place(install: Install, seen: list[Any]) -> None:
    install.write("a.ini", "x=1")
    assert install.config.get("a.ini", on_change=seen.append) == {"main": {"x": 1}}
    start(install)
    install.write("a.ini", "x=2")
    assert eventually(lambda: seen == [{"main": {"x": 2}}])


def test_renamed_into_place_and_again(install: Install, seen: list[Any]) -> None:
    install.write("v", "1")
    install.config.get("v", on_change=seen.append)
    start(install)
    for number in (2, 3):
        install.write(".v.swp", str(number))
        os.replace(install.path(".v.swp"), install.path("v"))
        assert eventually(lambda number=number: seen and seen[-1] == number)
    assert seen == [2, 3]


def test_made_later_and_removed_again(install: Install, seen: list[Any]) -> None:
    install.config.value(PLUGIN_TIMEOUT, seen.append)
    start(install)
    install.write("plugin_timeout", "5")
    assert eventually(lambda: seen == [5.0])
    install.path("plugin_timeout").unlink()
    assert eventually(lambda: seen == [5.0, 30.0])


def test_in_a_directory_made_later(install: Install, seen: list[Any]) -> None:
    install.config.get("queue/x.timeout", on_change=seen.append)
    start(install)
    install.write("queue/x.timeout", "5")
    assert eventually(lambda: seen == [5])
    install.write("queue/x.timeout", "6")
    assert eventually(lambda: seen == [5, 6])


def test_the_config_directory_itself_made_later(install: Install, seen: list[Any]) -> None:
    (install.directory / "config").rmdir()
    install.config.get("v", on_change=seen.append)
    start(install)
    install.write("v", "1")
    assert eventually(lambda: seen == [1])


def test_a_link_that_is_turned_and_one_whose_file_is_written(
    install: Install, seen: list[Any], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "one").write_text("1")
    (store / "two").write_text("2")
    install.path("v").symlink_to(store / "one")
    install.config.get("v", on_change=seen.append)
    start(install)
    install.path("new").symlink_to(store / "two")
    os.replace(install.path("new"), install.path("v"))
    assert eventually(lambda: seen == [2])
    (store / "two").write_text("3")
    assert eventually(lambda: seen == [2, 3])


def test_a_file_that_breaks_keeps_its_value_and_one_problem_is_said(
    install: Install, seen: list[Any]
) -> None:
    install.write("a.yaml", "x: 1")
    install.config.get("a.yaml", on_change=seen.append)
    start(install)
    install.write("a.yaml", "x: [")
    assert eventually(lambda: install.problems)
    install.write("unrelated", "x")
    time.sleep(0.6)
    assert seen == []
    assert len(install.problems) == 1
    install.write("a.yaml", "x: 2")
    assert eventually(lambda: seen == [{"x": 2}])


def test_a_wrong_value_stays_what_it_was_and_the_others_change(install: Install, seen: list[Any]) -> None:
    install.write("outbound.ini", "concurrency_max=5\nconnect_timeout=5")
    install.config.settings(OutboundSettings, seen.append)
    start(install)
    install.write("outbound.ini", "concurrency_max=lots\nconnect_timeout=7")
    assert eventually(lambda: seen)
    assert (seen[0].concurrency_max, seen[0].connect_timeout) == (5, 7)
    assert install.problems == [
        "outbound.ini:1: [main] concurrency_max: 'lots' is not a whole number; allowed: a whole number from 1 up"
    ]
    install.write("outbound.ini", "connect_timeout=7")
    assert eventually(lambda: len(seen) == 2)
    assert seen[1].concurrency_max == 100


def test_one_file_for_everything_changes_everything(install: Install, seen: list[Any]) -> None:
    install.config.get("plugins", "list", on_change=seen.append)
    start(install)
    install.write("smtp.yaml", '"!plugins": [relay]')
    assert eventually(lambda: seen == [["relay"]])


def test_a_password_file_that_changes(install: Install, seen: list[Any], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "pass").write_text("old\n")
    install.write("outbound.ini", f"[smarthost]\nauth_pass_file={tmp_path}/run/pass")
    assert install.config.settings(OutboundSettings, seen.append).smarthost.auth_pass == "old"
    start(install)
    (tmp_path / "run" / "pass").write_text("new\n")
    assert eventually(lambda: [each.smarthost.auth_pass for each in seen] == ["new"])


def test_many_writes_are_one_change(install: Install, seen: list[Any]) -> None:
    install.config.get("v", on_change=seen.append)
    start(install)
    for number in range(10):
        install.write("v", str(number))
        time.sleep(0.05)
    assert eventually(lambda: seen)
    assert seen == [9]


def test_nothing_changed_is_no_callback(install: Install, seen: list[Any]) -> None:
    install.write("a.ini", "x=1")
    install.config.get("a.ini", on_change=seen.append)
    start(install)
    install.write("a.ini", "; the same\nx=1")
    time.sleep(0.7)
    assert seen == []


def test_a_callback_that_raises_or_blocks_stops_no_other(install: Install, seen: list[Any]) -> None:
    def bad(value: Any) -> None:
        raise RuntimeError("no")

    install.config.get("v", on_change=bad)
    install.config.get("v", on_change=lambda value: gevent.sleep(60))
    install.config.get("v", on_change=seen.append)
    start(install)
    install.write("v", "1")
    assert eventually(lambda: seen == [1])
    assert len(install.problems) == 1
    assert "bad failed after a change: RuntimeError('no')" in install.problems[0]
    install.write("v", "2")
    assert eventually(lambda: seen == [1, 2])


def test_a_directory_that_gets_a_file(install: Install, seen: list[Any]) -> None:
    install.write("tls/a.pem", "a")
    assert len(install.config.get_dir("tls", on_change=seen.append)) == 1
    start(install)
    install.write("tls/sub/b.pem", "b")
    assert eventually(lambda: seen and [file.data for file in seen[-1]] == [b"a", b"b"])


def test_a_plugins_own_defaults_are_followed(install: Install, seen: list[Any], tmp_path: Path) -> None:
    defaults = tmp_path / "plugin"
    defaults.mkdir()
    install.config.for_plugin(defaults).get("p.ini", on_change=seen.append)
    start(install)
    (defaults / "p.ini").write_text("x=1")
    assert eventually(lambda: seen == [{"main": {"x": 1}}])


def test_after_close_nobody_is_called(install: Install, seen: list[Any]) -> None:
    install.config.get("v", on_change=seen.append)
    assert eventually(lambda: open_inotifies() == 0)
    start(install)
    assert open_inotifies() == 1
    install.config.close()
    install.write("v", "1")
    time.sleep(0.6)
    assert seen == []
    assert open_inotifies() == 0


def test_without_inotify_it_looks_now_and_then(
    install: Install, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL", 0.1)
    monkeypatch.setattr(watch.ctypes, "CDLL", lambda *args, **kwargs: object())
    install.config.get("v", on_change=seen.append)
    start(install)
    assert install.problems == [
        "configuration: no inotify (this system has no inotify): looking for changes every 0.1 s"
    ]
    install.write("v", "1")
    assert eventually(lambda: seen == [1])
