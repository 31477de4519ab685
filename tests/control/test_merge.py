"""The answers of several workers as one."""

from __future__ import annotations

from typing import Any

import pytest

from mta.control.merge import NO_ANSWER, merged, missing
from mta.outbound.gate import NOT_YET


def site(name: str, busy: int, waiting: int, **more: Any) -> dict[str, Any]:
    rest = {"resting_until": None, "suspended": False, "last_failure": None}
    return {"site": name, "busy": busy, "concurrency": 5, "waiting": waiting, **rest, **more}


def status(pid: int, *sites: dict[str, Any], **more: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("in_progress", "scheduled", "held", "ready", "parked"), 2)
    about = {"version": "1", "pid": pid, "started": 100.0 + pid, "connections": 3, "listening": ["[::0]:25"]}
    about |= {"slot": 0, "figures": {"accepted": pid}}
    nothing = {"histogram": {"100": 0, "more": 0}, "longest": 0.0}
    busy = {"plugins": {}, **nothing, "longest_at": {}, "cpu": nothing}
    return {
        **about,
        **counts,
        "busy": busy,
        "disabled": False,
        "suspensions": [],
        "sites": list(sites),
        **more,
    }


def test_status() -> None:
    whole = merged(
        "status",
        [
            status(7, site("a", 1, 0), site("b", 0, 1, resting_until="10:00", last_failure="gone")),
            status(5, site("b", 2, 8, resting_until="11:00", suspended=True), disabled=True),
        ],
    )
    assert (whole["connections"], whole["held"], whole["started"], whole["disabled"]) == (6, 4, 105.0, True)
    assert [worker["pid"] for worker in whole["workers"]] == [7, 5]
    assert [worker["figures"]["accepted"] for worker in whole["workers"]] == [7, 5] and "figures" not in whole
    both = {"resting_until": "11:00", "suspended": True, "last_failure": "gone"}
    assert whole["sites"] == [{**site("b", 2, 9, **both), "concurrency": 10}, site("a", 1, 0)]


def test_who_kept_the_event_loops_busy() -> None:
    one = {
        "plugins": {"slow": {"count": 1, "seconds": 0.3, "longest": 0.3}},
        "histogram": {"100": 0, "more": 1},
        "longest": 0.3,
        "longest_at": {"plugin": "slow"},
        "cpu": {"histogram": {"100": 1, "more": 0}, "longest": 0.09},
    }
    other = {
        "plugins": {
            "slow": {"count": 2, "seconds": 0.4, "longest": 0.25},
            "core": {"count": 1, "seconds": 0.1, "longest": 0.1},
        },
        "histogram": {"100": 1, "more": 2},
        "longest": 0.25,
        "longest_at": {"plugin": "core"},
        "cpu": {"histogram": {"100": 0, "more": 2}, "longest": 0.24},
    }
    whole = merged("status", [status(7, busy=one), status(5, busy=other)])["busy"]
    assert whole == {
        "plugins": {
            "slow": {"count": 3, "seconds": 0.7, "longest": 0.3},
            "core": {"count": 1, "seconds": 0.1, "longest": 0.1},
        },
        "histogram": {"100": 1, "more": 3},
        "longest": 0.3,
        "longest_at": {"plugin": "slow"},
        "cpu": {"histogram": {"100": 1, "more": 2}, "longest": 0.24},
    }


def test_what_each_has_in_memory() -> None:
    one = {"under_way": ["a"], "waiting": [["b", 5], ["c", 0]]}
    other = {"under_way": [], "waiting": [["d", 7]]}
    assert merged("inspect", [one, other]) == {"under_way": ["a"], "waiting": [["b", 5], ["c", 0], ["d", 7]]}


def test_connections_of_all() -> None:
    one = {"mx.example:25": {"inUse": 1, "size": 2}, "[::1]:25": {"inUse": 0, "size": 1}}
    other = {"mx.example:25": {"inUse": 2, "size": 2}}
    whole = {"mx.example:25": {"inUse": 3, "size": 4}, "[::1]:25": {"inUse": 0, "size": 1}}
    assert merged("pools", [one, other]) == whole
    assert merged("pools", [{}, {}]) == {}


@pytest.mark.parametrize(
    ("answers", "whole"),
    [
        ([{"x": "gone", "y": "done"}, {"x": "held", "y": "gone"}], {"x": "held", "y": "done"}),
        ([{"x": "gone"}, {"x": "gone"}], {"x": "gone"}),
        ([{"x": None}, {"x": {"gates": []}}, {"x": None}], {"x": {"gates": []}}),
        ([{"x": None}, {"x": None}], {"x": None}),
        ([{"x": NOT_YET}, {"x": "gone"}], {"x": NOT_YET}),
        ([{"x": "gone"}, {"x": NOT_YET}], {"x": NOT_YET}),
        ([{"x": NOT_YET}, {"x": "done"}], {"x": "done"}),
        ([False, True], True),
        ([False, False], False),
    ],
)
def test_orders(answers: list[Any], whole: Any) -> None:
    assert merged("any", answers) == whole


def test_where_a_worker_is_missing_nobody_knows_that_an_entry_is_gone() -> None:
    assert missing({"x": "gone", "y": "done", "z": None}) == {"x": NO_ANSWER, "y": "done", "z": None}
    assert missing(True) is True
