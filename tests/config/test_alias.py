"""The files of a plugin that runs under another name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.config import Config
from mta.config.alias import Alias
from mta.config.schema import SmtpForwardSettings
from tests.support.install import Install, eventually


@pytest.mark.parametrize(
    ("base", "asked", "file"),
    [
        ("greylist", "greylist.ini", "strict.ini"),
        ("greylist", "greylist", "strict"),
        ("greylist", "greylist/list.txt", "strict/list.txt"),
        ("greylist", "greylist_hosts", "greylist_hosts"),
        ("greylist", "smtp.ini", "smtp.ini"),
        ("greylist", "strict.ini", "strict.ini"),
        ("greylist", "/etc/greylist.ini", "/etc/greylist.ini"),
        ("queue/smtp_forward", "smtp_forward.ini", "strict.ini"),
        ("queue/smtp_forward", "queue/smtp_forward.ini", "strict.ini"),
        ("auth/flat_file", "auth_flat_file.ini", "strict.ini"),
        ("rcpt_to.max", "rcpt_to.max.ini", "strict.ini"),
        ("rcpt_to.max", "rcpt_to/max.ini", "strict.ini"),
        ("rcpt_to.max", "max.ini", "strict.ini"),
    ],
)
def test_which_files_are_its_own(base: str, asked: str, file: str) -> None:
    assert Alias("strict", base).own_file(asked) == file


def test_a_name_that_begins_with_the_base() -> None:
    alias = Alias("greylist.strict", "greylist")
    assert alias.own_file("greylist.ini") == "greylist.strict.ini"
    assert alias.own_file("greylist.strict.ini") == "greylist.strict.ini"
    assert alias.default_file("greylist.strict.ini") == "greylist.ini"


@pytest.fixture
def install(tmp_path: Path) -> Install:
    (tmp_path / "shipped").mkdir()
    (tmp_path / "defaults").mkdir()
    return Install(tmp_path, tmp_path / "shipped")


def aliased(install: Install) -> Config:
    return install.config.for_plugin(install.directory / "defaults", alias=Alias("strict", "greylist"))


@pytest.mark.parametrize("asked", ["greylist.ini", "strict.ini"])
def test_the_operators_file_lies_over_the_defaults_of_the_base(install: Install, asked: str) -> None:
    (install.directory / "defaults" / "greylist.ini").write_text("delay=5\nsize=1\n")
    install.write("greylist.ini", "size=2\n")
    install.write("strict.ini", "size=3\n")
    assert aliased(install).get(asked)["main"] == {"delay": 5, "size": 3}
    assert install.config.get("greylist.ini")["main"] == {"size": 2}


def test_files_of_others_are_shared(install: Install) -> None:
    install.write("host_list", "example.org\n")
    assert aliased(install).get("host_list", "list") == ["example.org"]


def test_directories_and_the_file_for_everything(install: Install) -> None:
    install.write("strict/a.txt", "one\n")
    install.write("smtp.yaml", "'!strict.ini':\n  main:\n    size: 7\n")
    config = aliased(install)
    assert [file.data for file in config.get_dir("greylist", "list")] == [["one"]]
    assert config.get("greylist.ini")["main"] == {"size": 7}


def test_changes_are_followed(install: Install) -> None:
    install.write("strict.ini", "size=3\n")
    seen: list[object] = []
    aliased(install).get("greylist.ini", on_change=seen.append)
    install.config.watch()
    try:
        install.write("strict.ini", "size=4\n")
        assert eventually(lambda: seen == [{"main": {"size": 4}}])
    finally:
        install.config.close()


def test_typed_settings_and_their_problems_name_the_file_of_the_alias(install: Install) -> None:
    install.write("backup.ini", "host=backup.example\nport=much\n")
    config = install.config.for_plugin(alias=Alias("backup", "queue/smtp_forward"))
    assert config.settings(SmtpForwardSettings).host == "backup.example"
    assert install.problems[0].startswith("backup.ini:2")
    assert config.place(SmtpForwardSettings, "main", "host") == (str(install.path("backup.ini")), 1)
    assert config.place(SmtpForwardSettings, "main", "bind") == (str(install.path("backup.ini")), 0)
