"""Lines of config/plugins, and the same plugin under two names."""

from __future__ import annotations

import pytest

from mta.plugin.names import Listed, read_line, replaced
from tests.support.command import haraka


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        ("relay", Listed("relay", "relay")),
        ("haraka-plugin-relay", Listed("relay", "relay")),
        ("relay_acl", Listed("relay", "relay")),
        ("strict: greylist", Listed("strict", "greylist")),
        ("strict:greylist", Listed("strict", "greylist")),
        ("queue/backup : queue/smtp_forward", Listed("queue/backup", "queue/smtp_forward")),
        ("strict: haraka-plugin-greylist", Listed("strict", "greylist")),
        ("mine: dnsbl", Listed("mine", "dns-list")),
        (": greylist", Listed("", "greylist")),
    ],
)
def test_a_line(line, listed):
    assert read_line(line) == listed


def test_a_deprecated_name_behind_an_alias_is_told():
    assert replaced("mine: dnsbl") == "dnsbl"
    assert replaced("dnsbl: mine") is None


LIMIT = """
from mta.plugin import DENY, Plugin

class Limit(Plugin):
    def register(self):
        self.cfg = self.config.get("limit.ini")

    def hook_helo(self, connection, host):
        if host == self.cfg["main"].get("host"):
            return DENY, f"{self.name}: {self.cfg['main']['says']}"
"""


@pytest.fixture
def two(house):
    house.write("plugins/limit/__init__.py", LIMIT)
    house.write("plugins/limit/config/limit.ini", "[main]\nsays=no\n")
    house.files = {"limit.ini": "host=one.example\n", "second.ini": "host=two.example\nsays=never\n"}
    return house


def test_two_names_with_two_configurations(two):
    assert two.answer("limit", "second: limit", host="one.example") == "limit: no"
    assert two.answer("limit", "second: limit", host="two.example") == "second: never"


def test_what_the_second_does_not_say_is_the_default_not_what_the_first_says(two):
    two.files["second.ini"] = "host=two.example\n"
    two.files["limit.ini"] += "says=first\n"
    assert two.answer("limit", "second: limit", host="two.example") == "second: no"


def test_each_has_a_timeout_of_its_own(two):
    two.files |= {"limit.timeout": "3", "second.timeout": "4"}
    assert [plugin.timeout for plugin in two.load("limit", "second: limit")] == [3.0, 4.0]


def test_they_share_no_module(two):
    first, second = two.load("limit", "second: limit")
    assert type(first) is not type(second)


def test_the_same_name_twice_is_loaded_once(two):
    two.good("plugins/other.py")
    (plugin,) = two.load("second: limit", "second: limit", "second: other")
    assert plugin.name == "second" and type(plugin).__name__ == "Limit"
    assert any("second is listed twice" in line for line in two.lines)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("second: nowhere", "Loading plugin second: nowhere failed: No plugin with this name found"),
        ("../x: limit", "Loading plugin ../x: limit failed: '../x' is not a plugin name"),
        (": limit", "Loading plugin : limit failed: '' is not a plugin name"),
        ("second:", "Loading plugin second:  failed: '' is not a plugin name"),
        ("a: b: c", "Loading plugin a: b: c failed: 'b: c' is not a plugin name"),
    ],
)
def test_what_is_wrong_is_said_with_the_line(two, line, error):
    assert two.error(line).startswith(error)


def test_the_order_shows_both(tmp_path):
    assert haraka("-i", str(tmp_path)).returncode == 0
    (tmp_path / "plugins" / "limit.py").write_text(LIMIT)
    (tmp_path / "config" / "plugins").write_text("limit\nsecond: limit\n")
    (tmp_path / "config" / "second.timeout").write_text("7\n")
    result = haraka("-o", "-c", str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()[2:4]] == [
        ["limit", "hook_helo", "0", "30"],
        ["second", "hook_helo", "0", "7"],
    ]


def test_check_says_where_a_name_is_listed_again(tmp_path):
    assert haraka("-i", str(tmp_path)).returncode == 0
    (tmp_path / "plugins" / "limit.py").write_text(LIMIT)
    (tmp_path / "config" / "plugins").write_text("limit\nsecond: limit\nsecond: relay\n")
    result = haraka("check", "-c", str(tmp_path))
    assert f"{tmp_path}/config/plugins:3: warning: second is listed twice, it is loaded once" in result.stdout
