"""Results: what add, incr, push, collate, get and has do, and what reaches the log."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mta.results import Results


class Reporter:
    """A plugin that remembers what it was asked to log."""

    name = "spf"

    def __init__(self) -> None:
        self.logged: list[tuple[Any, ...]] = []

    def loginfo(self, *args: Any) -> None:
        self.logged.append(("info", *args))

    def logerror(self, *args: Any) -> None:
        self.logged.append(("error", *args))


def test_nothing_noted() -> None:
    results = Results()
    assert results.get("spf") is None
    assert results.get_all() == {}
    assert results.collate("spf") == ""
    assert not results.has("spf", "pass", "x")


def test_lists_grow_and_values_are_replaced() -> None:
    results = Results()
    results.add("spf", {"pass": "helo", "result": "None"})
    results.add("spf", {"pass": ["mfrom", "rdns"], "fail": "x", "result": "Pass"})
    assert results.get("spf") == {"pass": ["helo", "mfrom", "rdns"], "fail": ["x"], "result": "Pass"}
    assert results.get_all() == {"spf": results.get("spf")}


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"pass": "a"}, "pass:a"),
        ({"pass": ["a", "b"], "country": "DE"}, "country: DE, pass:a, b"),
        ({"skip": "s", "err": "e", "msg": "m", "fail": "f", "pass": "p"}, "pass:p, fail:f, msg:m, err:e, skip:s"),
        ({"_private": 1, "score": 3}, "score: 3"),
        ({"pass": "a", "fail": "b", "hide": ["pass"]}, "fail:b"),
        ({"ip": "x", "asn": 1, "hide": ["ip"]}, "asn: 1"),
        ({"pass": "a", "fail": "b", "order": ["fail", "pass"]}, "fail:b, pass:a"),
        ({"human": "all is well", "pass": "a"}, "all is well"),
        ({"list": ["a", "b"]}, "list: a, b"),
        ({"pass": None, "fail": ""}, ""),
    ],
)  # fmt: skip
def test_as_text(found: dict[str, Any], text: str) -> None:
    results = Results()
    results.add("spf", found)
    assert results.collate("spf") == text
    assert results.collate("spf") == text


def test_human_text_does_not_outlive_its_finding() -> None:
    results = Results()
    results.add("spf", {"human": "first"})
    results.add("spf", {"pass": "a"})
    assert results.collate("spf") == "pass:a"


def test_incr_and_push() -> None:
    results = Results()
    results.incr("karma", {"score": 1})
    results.incr("karma", {"score": -2.5, "other": 3})
    results.push("karma", {"awards": 1})
    results.push("karma", {"awards": [2, 3]})
    assert results.get("karma") == {"score": -1.5, "other": 3, "awards": [1, 2, 3]}


@pytest.mark.parametrize(
    ("key", "search", "found"),
    [
        ("pass", "helo", True),
        ("pass", "hel", False),
        ("pass", re.compile("^he"), True),
        ("pass", re.compile("^lo"), False),
        ("result", "Pass", True),
        ("result", re.compile("pass", re.I), True),
        ("score", 1, True),
        ("score", 2, False),
        ("score", True, False),
        ("relay", True, True),
        ("relay", 1, False),
        ("missing", "x", False),
        ("missing", re.compile(".*"), False),
    ],
)
def test_has(key: str, search: Any, found: bool) -> None:
    results = Results()
    results.add("spf", {"pass": ["helo", "mfrom"], "result": "Pass", "score": 1, "relay": True})
    assert results.has("spf", key, search) is found


def test_a_plugin_names_itself_and_logs_with_the_owner() -> None:
    plugin, owner = Reporter(), Reporter()
    results = Results(owner)
    results.add(plugin, {"pass": "a"})
    assert plugin.logged == []
    results.add(plugin, {"fail": "b", "emit": True})
    results.add(plugin, {"err": OSError("no answer")})
    assert plugin.logged == [("info", "pass:a, fail:b", owner), ("error", "no answer", owner)]
    assert results.has(plugin, "pass", "a")
    assert results.get(plugin) is results.get("spf")
    assert "emit" not in (results.get("spf") or {})


def test_results_are_small_until_used() -> None:
    assert not hasattr(Results(), "__dict__")
