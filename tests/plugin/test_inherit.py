"""Plugins that derive from other plugins."""

from __future__ import annotations

import importlib

import pytest

from mta.plugin import PluginError, plugin_class
from mta.plugin.resources import config_directories

BASE = """
from mta.plugin import DENY, Plugin

class Base(Plugin):
    word = "base"

    def register(self):
        self.cfg = self.config.get("base.ini")["main"]

    def hook_helo(self, connection, host):
        return DENY, f"{self.word} {self.cfg.get('a')} {self.cfg.get('b')}"
"""
DERIVED = """
from mta.plugin import plugin_class

class Derived(plugin_class({name!r})):
    word = "derived"
"""


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("plugins/base.py", "base"),
        ("plugins/queue/base.py", "queue/base"),
        ("plugins/base/__init__.py", "base"),
        ("bundled/base.py", "base"),
    ],
)
def test_the_base_is_found_as_a_plugin_is(house, file, name):
    house.write(file, BASE)
    house.write("plugins/derived.py", DERIVED, name=name)
    assert house.answer("derived") == "derived None None"


def test_base_and_derived_run_side_by_side(house):
    house.write("plugins/base.py", BASE)
    house.write("plugins/derived.py", DERIVED, name="base")
    assert [type(plugin).__name__ for plugin in house.load("base", "derived")] == ["Base", "Derived"]


def test_defaults_of_the_base_lie_below_those_of_the_derived_one(house):
    house.write("plugins/base/__init__.py", BASE)
    house.write("plugins/base/config/base.ini", "a=1\nb=1\n")
    house.write("plugins/derived/__init__.py", DERIVED, name="base")
    house.write("plugins/derived/config/base.ini", "b=2\n")
    assert house.answer("derived") == "derived 1 2"
    house.files["base.ini"] = "a=3\n"
    assert house.answer("derived") == "derived 3 2"


def test_a_plugin_of_the_installation_derives_from_the_bundled_one_of_its_name(house):
    house.write("bundled/base.py", BASE)
    house.write("plugins/base.py", DERIVED, name="base")
    assert house.answer("base") == "derived None None"


def test_a_chain_of_three(house):
    house.write("bundled/base.py", BASE)
    house.write("plugins/middle.py", DERIVED, name="base")
    house.write("plugins/top.py", DERIVED.replace('"derived"', '"top"'), name="middle")
    assert house.answer("top") == "top None None"


def test_a_circle_is_one_clear_line(house):
    house.write("plugins/one.py", DERIVED, name="two")
    house.write("plugins/two.py", DERIVED, name="one")
    error = house.error("one")
    assert error.startswith(f"Loading plugin one failed: {house.root}/plugins/one.py:4: ")
    assert f"{house.root}/plugins/two.py:4: No plugin with this name found" in error


def test_a_base_that_does_not_load_names_both_files(house):
    house.write("plugins/base.py", "\n1 / 0\n")
    house.write("plugins/derived.py", DERIVED, name="base")
    assert house.error("derived") == (
        f"Loading plugin derived failed: {house.root}/plugins/derived.py:4: "
        f"{house.root}/plugins/base.py:2: ZeroDivisionError: division by zero"
    )


def test_a_base_class_in_the_same_file_is_not_a_second_plugin(house):
    house.write("plugins/both.py", BASE + "\nclass Mine(Base):\n    word = 'mine'\n")
    assert house.answer("both") == "mine None None"


def test_outside_of_a_server_the_bundled_plugins_are_found():
    assert plugin_class("rcpt_to.in_host_list").__name__ == "InHostList"
    with pytest.raises(PluginError, match="No plugin with this name found"):
        plugin_class("nowhere")


def test_a_class_that_belongs_to_no_package_has_no_defaults(tmp_path, monkeypatch):
    """A test of an installation, which pytest names `mail.tests.test_it`: mail/config is the operator's."""
    (tmp_path / "mail" / "config").mkdir(parents=True)
    (tmp_path / "mail" / "tests").mkdir()
    (tmp_path / "mail" / "tests" / "here.py").write_text(
        "from mta.plugin import Plugin\nclass Here(Plugin): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    here = importlib.import_module("mail.tests.here").Here
    assert config_directories(here) == []
    for folder in ("mail", "mail/tests"):
        (tmp_path / folder / "__init__.py").touch()
    assert config_directories(here) == [tmp_path / "mail" / "config"]
