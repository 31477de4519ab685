"""How long the turns of the event loop were: each in its column, the longest one with its place."""

from __future__ import annotations

import json
import time

import gevent
import pytest
from gevent import monkey

from mta.plugin.turns import COLUMNS, Turns, column
from mta.plugin.whereabouts import CORE, Whereabouts

sleep_really = monkey.get_original("time", "sleep")
PLACE = Whereabouts("greylist", "rcpt", "-", "/plugins/greylist.py:41", "")


@pytest.mark.parametrize(
    ("milliseconds", "name"),
    [
        (0.2, "1"),
        (1.1, "2"),
        (2.0, "2"),
        (2.1, "5"),
        (9.9, "10"),
        (19, "20"),
        (21, "50"),
        (51, "100"),
        (99, "100"),
        (101, "more"),
        (60_000, "more"),
    ],
)
def test_columns(milliseconds: float, name: str) -> None:
    assert COLUMNS[column(milliseconds / 1000)] == name


def turn_of(seconds: float, turns: Turns, where: Whereabouts | None = None) -> None:
    """Hold the loop in one turn; where: what a watchdog sees."""
    gevent.sleep(0.001)  # a new turn
    if where:
        turns.seen = (gevent.get_hub().loop.iteration, where)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    gevent.sleep(0.001)


def test_every_turn_is_counted_once() -> None:
    turns = Turns()
    turns.start()
    first = gevent.get_hub().loop.iteration
    turn_of(0.03, turns)
    turn_of(0.12, turns, PLACE)
    turn_of(0.03, turns)
    turns.stop()
    last = gevent.get_hub().loop.iteration
    values = json.loads(json.dumps(turns.as_values()))
    histogram = values["histogram"]
    assert tuple(histogram) == COLUMNS and sum(histogram.values()) == last - first
    assert histogram["more"] >= 1 and sum(histogram[name] for name in ("50", "100", "more")) >= 3
    assert values["longest"] >= 0.12
    assert values["longest_at"] == {"plugin": "greylist", "hook": "rcpt", "at": "/plugins/greylist.py:41"}
    assert values["cpu"]["longest"] <= values["longest"]
    assert sum(values["cpu"]["histogram"].values()) == last - first


def test_what_the_machine_gave_to_others_is_no_processor_time() -> None:
    turns = Turns()
    turns.start()
    gevent.sleep(0.001)
    sleep_really(0.2)  # this thread has nothing, and the loop waits for it
    gevent.sleep(0.001)
    turns.stop()
    assert turns.held.longest >= 0.2 and turns.computed.longest < 0.1
    computed = turns.as_values()["cpu"]["histogram"]
    assert computed["more"] == 0 and turns.as_values()["histogram"]["more"] >= 1


def test_processor_time_is_counted() -> None:
    turns = Turns()
    turns.start()
    gevent.sleep(0.001)
    end = time.thread_time() + 0.12
    while time.thread_time() < end:
        pass
    gevent.sleep(0.001)
    turns.stop()
    assert turns.computed.longest >= 0.12 and turns.as_values()["cpu"]["histogram"]["more"] == 1


def test_a_place_that_was_seen_in_another_turn_is_not_that_of_this_one() -> None:
    turns = Turns()
    turns.start()
    turns.seen = (gevent.get_hub().loop.iteration - 1, Whereabouts(CORE, "", "-", "x.py:1", ""))
    turn_of(0.05, turns)
    turns.stop()
    assert turns.as_values()["longest_at"] == {} and turns.held.longest >= 0.05


def longest_while_waiting() -> float:
    turns = Turns()
    turns.start()
    gevent.sleep(0.3)
    turns.stop()
    assert sum(turns.as_values()["histogram"].values()) > 0
    return turns.held.longest


def test_what_waits_is_not_counted() -> None:
    assert any(longest_while_waiting() < 0.3 for _ in range(3)), "a machine that stands still may do so once"


def test_nothing_was_counted_yet() -> None:
    assert Turns().as_values() == {
        "histogram": dict.fromkeys(COLUMNS, 0),
        "longest": 0.0,
        "longest_at": {},
        "cpu": {"histogram": dict.fromkeys(COLUMNS, 0), "longest": 0.0},
    }
