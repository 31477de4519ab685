"""Layers of directories, and what a reader gets from them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mta.config import Config, ConfigError
from mta.paths import ETC
from tests.support.install import Install


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    directory = tmp_path / "shipped"
    directory.mkdir()
    return directory


@pytest.fixture
def layered(tmp_path: Path, shipped: Path) -> Install:
    directory = tmp_path / "here"
    directory.mkdir()
    return Install(directory, shipped)


def test_the_installation_lies_over_the_shipped_files_key_by_key(layered: Install, shipped: Path) -> None:
    (shipped / "a.ini").write_text("x=1\ny=2\n[s]\nz=3")
    layered.write("a.ini", "y=5\n[t]\nw=1")
    assert layered.config.get("a.ini") == {"main": {"x": 1, "y": 5}, "s": {"z": 3}, "t": {"w": 1}}


def test_a_declared_boolean_does_not_hide_what_the_shipped_file_says(layered: Install, shipped: Path) -> None:
    (shipped / "a.ini").write_text("x=true")
    layered.write("a.ini", "y=1")
    assert layered.config.get("a.ini", booleans=["-main.x"]) == {"main": {"x": True, "y": 1}}


@pytest.mark.parametrize(
    ("name", "below", "above", "result"),
    [
        ("a.yaml", "b: {c: 1, d: 2}", "b: {d: 3}", {"b": {"c": 1, "d": 3}}),
        ("a.json", '{"a": 1}', None, {"a": 1}),
        ("a.toml", "a = 1", "b = 2", {"a": 1, "b": 2}),
        ("a.list", "one\ntwo", "three", ["three"]),
        ("a.list", "one", "; none of them\n", []),
        ("a.list", "one", None, ["one"]),
        ("a.data", "one", "two", ["two"]),
        ("v", "1", "2", 2),
        ("v", "1", "; nothing", 1),
        ("v", None, None, None),
        ("v", "1.5", None, 1.5),
        ("v", None, "0123 x", "0123 x"),
        ("a.bin", "x", "y", b"y"),
        ("a.bin", None, None, None),
        ("a.list", None, None, []),
        ("a.data", None, None, []),
        ("a.json", None, None, {}),
        ("a.yaml", None, None, {}),
        ("a.toml", None, None, {}),
        ("a.ini", None, None, {"main": {}}),
    ],
)
def test_layers(
    layered: Install, shipped: Path, name: str, below: str | None, above: str | None, result: object
) -> None:
    if below is not None:
        (shipped / name).write_text(below)
    if above is not None:
        layered.write(name, above)
    assert layered.config.get(name) == result
    assert layered.problems == []


def test_a_plugins_defaults_lie_between_and_an_empty_list_keeps_them(
    layered: Install, shipped: Path, tmp_path: Path
) -> None:
    defaults = tmp_path / "plugin"
    defaults.mkdir()
    (shipped / "p.ini").write_text("a=1\nb=1\nc=1")
    (defaults / "p.ini").write_text("b=2\nc=2")
    (defaults / "p.list").write_text("default")
    layered.write("p.ini", "c=3")
    layered.write("p.list", "; nothing")
    plugin = layered.config.for_plugin(defaults)
    assert plugin.get("p.ini") == {"main": {"a": 1, "b": 2, "c": 3}}
    assert plugin.get("p.list") == ["default"]
    assert layered.config.get("p.ini") == {"main": {"a": 1, "b": 1, "c": 3}}


def test_json_falls_back_to_yaml(install: Install) -> None:
    install.write("a.yaml", "x: 1")
    assert install.config.get("a.json") == {"x": 1}
    install.write("a.json", '{"x": 2}')
    assert install.config.get("a.json") == {"x": 2}


def test_me_is_the_host_name_until_somebody_says_otherwise(install: Install) -> None:
    assert install.config.get("me") == socket.gethostname()
    assert install.config.get("me", "list") == [socket.gethostname()]
    install.write("me", "mail.example.com\n")
    assert install.config.get("me") == "mail.example.com"


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("5.9", 5), ("-1", -1), ("many", 7), ("", 7)])
def test_get_int(install: Install, text: str, number: int) -> None:
    install.write("n", text)
    assert install.config.get_int("n", 7) == number


def test_a_caller_may_change_what_it_got(install: Install) -> None:
    install.write("a.yaml", "x: [1]")
    install.config.get("a.yaml")["x"].append(2)
    assert install.config.get("a.yaml") == {"x": [1]}


def test_a_changed_file_is_read_again_without_a_watch(install: Install) -> None:
    install.write("v", "1")
    assert install.config.get("v") == 1
    install.write("v", "twenty")
    assert install.config.get("v") == "twenty"
    install.path("v").unlink()
    assert install.config.get("v") is None


@pytest.mark.parametrize("name", ["../x", "a/../../x", "..", "", ".", "a\0b", "../config-other/x"])
def test_names_that_escape_the_directory_are_refused(install: Install, name: str) -> None:
    with pytest.raises(ConfigError, match=r"escapes the config directory|is not a file name"):
        install.config.get(name)


def test_a_name_may_go_down_and_an_absolute_one_anywhere(install: Install, tmp_path: Path) -> None:
    install.write("queue/smtp_forward.timeout", "5")
    assert install.config.get("queue/../queue/smtp_forward.timeout") == 5
    (tmp_path / "elsewhere.list").write_text("x")
    assert install.config.get(str(tmp_path / "elsewhere.list")) == ["x"]


def test_get_dir_reads_everything_below_in_order(layered: Install, shipped: Path) -> None:
    (shipped / "tls").mkdir()
    (shipped / "tls" / "a.pem").write_bytes(b"shipped")
    (shipped / "tls" / "c.pem").write_bytes(b"c")
    layered.write("tls/b.pem", "b")
    layered.write("tls/sub/d.pem", "d")
    layered.write("tls/a.pem", "a")
    found = layered.config.get_dir("tls")
    assert [(file.path.name, file.data) for file in found] == [
        ("a.pem", b"a"),
        ("b.pem", b"b"),
        ("c.pem", b"c"),
        ("d.pem", b"d"),
    ]
    assert layered.config.get_dir("nothing") == []
    assert [file.data for file in layered.config.get_dir("tls", "value")] == ["a", "b", "c", "d"]


def test_without_an_installation_the_shipped_files_count() -> None:
    config = Config(None, ETC, lambda problem: pytest.fail(str(problem)))
    assert config.directory == ETC
    assert config.get("plugin_timeout") == 30
    assert "rcpt_to.in_host_list" in config.get("plugins", "list")
    assert config.get("outbound.bounce_message", "data")[1] == "Date: {date}"
    config.survey()


def test_a_directory_or_a_pipe_in_the_place_of_a_file_does_no_harm(install: Install) -> None:
    install.path("x.ini").mkdir()
    assert install.config.get("x.ini") == {"main": {}}
    os.mkfifo(install.path("pipe.list"))
    assert install.config.get("pipe.list") == []
    assert install.problems == [
        "x.ini: cannot be read: Is a directory",
        "pipe.list: cannot be read: not a regular file",
    ]


def test_an_unreadable_file_is_one_problem(install: Install) -> None:
    install.path("x.ini").symlink_to("x.ini")  # file modes do not stop root
    assert install.config.get("x.ini") == {"main": {}}
    assert install.config.get("x.ini") == {"main": {}}
    assert install.problems == ["x.ini: cannot be read: Too many levels of symbolic links"]
    assert install.reported[0].fatal


def test_a_file_that_breaks_keeps_what_it_said(install: Install) -> None:
    for name, good, bad in (("a.json", '{"x": 1}', '{"x": '), ("a.ini", "x=1", "x=2\nthis is wrong\n")):
        install.reported.clear()
        install.write(name, good)
        before = install.config.get(name)
        install.write(name, bad)
        assert install.config.get(name) == before
        assert install.config.get(name) == before
        assert len(install.problems) == 1
        install.write(name, bad + " ")
        assert install.config.get(name) == before
        assert len(install.problems) == 2, "another attempt that fails is another problem"


def test_an_ini_file_with_a_bad_line_from_the_start_says_the_rest(install: Install) -> None:
    install.write("a.ini", "x=1\nthis is wrong\ny=2\n")
    assert install.config.get("a.ini") == {"main": {"x": 1, "y": 2}}
    assert install.problems == ["a.ini:2: invalid line; allowed: [section], key=value, ; comment"]
    assert install.reported[0].fatal
