from __future__ import annotations

import os
import sys

import pytest

from mta.paths import PLUGINS
from mta.plugin.loader import current_names, load_plugins
from mta.plugin.names import DEPRECATED
from mta.plugin.packages import GROUP
from tests.support.house import GOOD
from tests.support.plugins import StandInServer, config_of, connection_from, logger_and_lines

# ---- where plugins are


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("plugins/simple.py", "simple"),
        ("plugins/dns-list.py", "dns-list"),
        ("plugins/queue/forward.py", "queue/forward"),
        ("plugins/rcpt_to.mine.py", "rcpt_to.mine"),
        ("plugins/rcpt_to/mine.py", "rcpt_to.mine"),
        ("plugins/folder/__init__.py", "folder"),
        ("bundled/rcpt_to/mine.py", "rcpt_to.mine"),
        ("plugins/simple.py", "haraka-plugin-simple"),
    ],
)
def test_a_name_finds_its_file(house, file, name):
    house.good(file)
    assert house.answer(name) == "no"


def test_the_spelling_with_a_dot_comes_first(house):
    house.good("plugins/rcpt_to.mine.py", "file")
    house.good("plugins/rcpt_to/mine.py", "folder")
    assert house.answer("rcpt_to.mine") == "file"


def test_the_installation_comes_before_the_bundled_plugins(house):
    house.good("plugins/relay.py", "own")
    house.good("bundled/relay.py", "bundled")
    assert house.answer("relay") == "own"


@pytest.fixture
def installed(house, monkeypatch):
    """An installed package that offers the plugin `packaged` by its entry point."""
    house.write("site/pkg_for_test/__init__.py", "")
    house.good("site/pkg_for_test/plugin.py", "package")
    info = "site/pkg_for_test-1.0.dist-info"
    house.write(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pkg-for-test\nVersion: 1.0\n")
    house.write(f"{info}/entry_points.txt", f"[{GROUP}]\npackaged = pkg_for_test.plugin\n")
    monkeypatch.syspath_prepend(str(house.root / "site"))
    yield house
    for name in ("pkg_for_test", "pkg_for_test.plugin"):
        sys.modules.pop(name, None)


def test_an_installed_package_is_found(installed):
    assert installed.answer("packaged") == "package"


def test_it_comes_after_the_installation_and_before_the_bundled_plugins(installed):
    installed.good("bundled/packaged.py", "bundled")
    assert installed.answer("packaged") == "package"
    installed.good("plugins/packaged.py", "own")
    assert installed.answer("packaged") == "own"


def test_a_package_brings_its_own_configuration(installed):
    installed.write("site/pkg_for_test/config/packaged.ini", "[main]\ncolour=blue\nsize=1\n")
    installed.files["packaged.ini"] = "[main]\nsize=2\n"
    (plugin,) = installed.load("packaged")
    assert plugin.config.get("packaged.ini")["main"] == {"colour": "blue", "size": 2}


def test_so_does_a_plugin_that_is_a_folder(house):
    house.good("plugins/folder/__init__.py")
    house.write("plugins/folder/config/folder.ini", "colour=blue\n")
    (plugin,) = house.load("folder")
    assert plugin.config.get("folder.ini")["main"] == {"colour": "blue"}


def test_an_unknown_plugin_is_one_clear_line(house):
    assert house.error("nowhere") == (
        "Loading plugin nowhere failed: No plugin with this name found, looked in "
        f"{house.root}/plugins, installed packages (entry points haraka.plugins), {house.bundled}"
    )


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../b", ".hidden", "a b", "", "a//b", "a/"])
def test_a_name_never_leaves_the_directory(house, name):
    house.good("evil.py")
    assert "is not a plugin name" in house.error(name)


# ---- what a plugin file holds


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", "holds exactly one Plugin subclass, this one has none"),
        ("from mta.plugin import Plugin", "has none"),
        (
            "from mta.plugin import Plugin\nclass A(Plugin): pass\nclass B(Plugin): pass",
            "this one has A, B",
        ),
        ("def broken(:\n  pass", "bad.py:1: invalid syntax"),
        ("x = 1\nimport no_such_module_here", "bad.py:2: ModuleNotFoundError: No module named"),
        ("x = 1\n\n1 / 0", "bad.py:3: ZeroDivisionError: division by zero"),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def hook_rcptok(self, connection, rcpt): pass",
            "bad.py:3: there is no hook hook_rcptok, did you mean hook_rcpt_ok?",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def hook_shutdown(self): pass",
            "bad.py:3: there is no hook hook_shutdown, the method is called shutdown",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n x = 1\n def hook_rcpt(self, connection, rcpt): pass",
            "bad.py:4: hook_rcpt takes (connection, rcpt), but hook rcpt hands over (connection, rcpt, params)",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def hook_quit(self, connection, more): pass",
            "bad.py:3: hook_quit takes (connection, more), but hook quit hands over (connection)",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n async def hook_quit(self, connection): pass",
            "bad.py:3: hook_quit is async; hooks are plain functions and may block",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n async def hook_quit(self, connection): yield",
            "bad.py:3: hook_quit is async; hooks are plain functions and may block",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def hook_quit(self, connection): yield",
            "bad.py:3: hook_quit yields; hooks return their answer",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n hook_quit = 'later'",
            "bad.py: hook_quit is no method but 'later'",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def register(self):\n  self.register_hook('rcpt', self.x)\n"
            " def x(self, c): pass",
            "bad.py:5: x takes (c), but hook rcpt hands over (connection, rcpt, params)",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def register(self):\n  self.register_hook('rpct', 'x')",
            "bad.py:4: ValueError: there is no hook 'rpct'",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def register(self):\n  self.register_hook('rcpt', 'x')",
            "bad.py:4: AttributeError: 'A' object has no attribute 'x'",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def register(self):\n"
            "  self.register_hook('quit', 'q', 101)\n def q(self, c): pass",
            "bad.py:4: ValueError: the priority of hook quit must be -100 to 100, not 101",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def __init__(self, needed): pass",
            "bad.py: TypeError: A.__init__() missing 1 required positional argument: 'needed'",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n def register(self):\n  open('/no/such/file')",
            "bad.py:4: FileNotFoundError",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(house, code, message):
    house.write("plugins/bad.py", code)
    error = house.error("bad")
    assert error.startswith("Loading plugin bad failed: ")
    assert message in error


def test_a_derived_plugin_drops_a_hook_with_none(house):
    house.write(
        "plugins/less.py",
        """
        from mta.plugin import DENY, Plugin as Base

        class Less(Base):
            def register(self):
                self.register_hook("helo", max)

            hook_rcpt = None
        """,
    )
    (plugin,) = house.load("less")
    assert [registration.hook for registration in plugin.registrations()] == ["helo"]


def test_loose_signatures_are_fine(house):
    house.write(
        "plugins/loose.py",
        """
        from mta.plugin import DENY, Plugin

        class Loose(Plugin):
            def hook_helo(self, *args):
                return DENY, "star"

            def hook_rcpt(self, connection, rcpt, params=None, more=None):
                return None
        """,
    )
    assert house.answer("loose") == "star"


def test_a_base_class_that_is_imported_is_not_a_second_plugin(house):
    house.write(
        "plugins/derived.py",
        """
        from mta.plugin import DENY, Plugin
        from tests.plugin.base_for_test import Base

        class Derived(Base):
            pass
        """,
    )
    module = type(sys)("tests.plugin.base_for_test")
    exec(GOOD.format(answer="base").replace("Good", "Base"), module.__dict__)
    sys.modules["tests.plugin.base_for_test"] = module
    try:
        assert house.answer("derived") == "base"
    finally:
        del sys.modules["tests.plugin.base_for_test"]


def test_the_same_file_serves_two_servers_of_one_process(house):
    house.write(
        "plugins/counts.py",
        """
        from mta.plugin import Plugin
        seen = []

        class Counts(Plugin):
            def register(self):
                seen.append(self.name)
                self.seen = seen
        """,
    )
    (one,), (two,) = house.load("counts"), house.load("counts")
    assert one.seen == two.seen == ["counts"] and one.seen is not two.seen
    assert type(one) is not type(two)


def test_a_file_that_was_changed_at_once_is_loaded_as_it_is(house):
    """Size and time of the file are what they were."""
    file = house.good("plugins/simple.py", "one")
    before = file.stat()
    assert house.answer("simple") == "one"
    house.good("plugins/simple.py", "two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert house.answer("simple") == "two"


def test_modern_python_works_in_a_plugin_file(house):
    """Dataclasses with postponed annotations look their module up in sys.modules."""
    house.write(
        "plugins/modern.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from mta.plugin import DENY, Plugin

        @dataclass
        class Row:
            text: str

        class Modern(Plugin):
            def hook_helo(self, connection, host):
                return DENY, Row("row").text
        """,
    )
    assert house.answer("modern") == "row"


# ---- the list


def test_plugins_come_in_the_order_of_the_list(house):
    house.good("plugins/one.py", "one")
    house.good("plugins/two.py", "two")
    assert house.answer("two", "one") == "two"
    assert [plugin.name for plugin in house.load("two", "one")] == ["two", "one"]


def test_a_plugin_knows_its_surroundings(house):
    house.good("plugins/queue/mine.py")
    (plugin,) = house.load("queue/mine")
    assert plugin.name == "queue/mine"
    assert plugin.server.notes == {}
    plugin.loginfo("hello", {"n": 1}, connection_from())
    assert "[queue/mine] hello n=1" in house.lines[-1]


def test_ignore_bad_plugins_goes_on_without(house):
    house.good("plugins/good.py")
    house.write("plugins/bad.py", "1 / 0")
    plugins = house.load("bad", "missing", "good", ignore_bad=True)
    assert [plugin.name for plugin in plugins] == ["good"]
    crits = [line for line in house.lines if line.startswith("[CRIT]")]
    assert "Loading plugin bad failed" in crits[0] and "Loading plugin missing failed" in crits[1]


def test_deprecated_names_have_a_successor():
    logger, lines = logger_and_lines()
    assert [one.name for one in current_names(["relay_acl", "dnsbl", "rcpt_to.ldap"], logger)] == [
        "relay",
        "dns-list",
        "rcpt-ldap",
    ]
    assert "relay_acl has been replaced by 'relay'. Please update config/plugins" in lines[0]
    assert len(lines) == 3


def test_no_successor_is_deprecated_itself():
    assert not set(DEPRECATED) & set(DEPRECATED.values())


def test_a_plugin_is_loaded_once():
    logger, lines = logger_and_lines()
    names = current_names(["relay_acl", "relay_all", "relay", "clamd", "clamd"], logger)
    assert [one.name for one in names] == ["relay", "clamd"]
    assert "clamd is listed twice in config/plugins, it is loaded once" in lines[-1]


# ---- timeouts


@pytest.mark.parametrize(
    ("files", "own", "seconds"),
    [
        ({}, "", 30.0),
        ({"plugin_timeout": "12"}, "", 12.0),
        ({"plugin_timeout": "12", "queue/slow.timeout": "1.5"}, "", 1.5),
        ({"queue/slow.timeout": "0"}, "", 0.0),
        ({"plugin_timeout": "12"}, "timeout = 99.0", 99.0),
        ({"queue/slow.timeout": "7"}, "timeout = 99.0", 7.0),
        ({"queue/slow.timeout": "soon"}, "", 30.0),
    ],
)
def test_timeouts(house, files, own, seconds):
    house.files = files
    house.write(
        "plugins/queue/slow.py", f"from mta.plugin import Plugin\nclass Slow(Plugin):\n {own or 'pass'}"
    )
    (plugin,) = house.load("queue/slow")
    assert plugin.timeout == seconds


# ---- what we ship


@pytest.mark.parametrize(
    "name", ["relay", "rcpt_to.in_host_list", "queue/discard", "queue/test", "queue/smtp_forward"]
)
def test_bundled_plugins_load_with_the_shipped_configuration(tmp_path, name):
    logger, _ = logger_and_lines()
    problems = []
    config = config_of(tmp_path, {}, problems)
    (plugin,) = load_plugins([name], config, logger, StandInServer(), [])
    assert plugin.name == name and problems == []
    assert (PLUGINS.parent / "docs" / "plugins" / f"{name}.md").is_file()
