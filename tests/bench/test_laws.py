"""The pure parts of laws, figures and the event loop's histogram."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mta.outbound.qfile import QueueFileName
from tests.bench import hub
from tests.bench.crowd import percentile, source
from tests.bench.figure import Figure, all_of
from tests.bench.law_plugins import real_names
from tests.bench.laws import Law, Point, measure
from tests.bench.load import LoadFailed, Sample
from tests.bench.startup import short
from tests.bench.stuffed_queue import LINKS, StuffedQueue, check_room, entry_name


def costs(*milliseconds: float) -> Callable[[], Sample]:
    rest = list(milliseconds)
    return lambda: Sample(10, 1.0, rest.pop(0) / 100)


def fails() -> Sample:
    raise LoadFailed("no room")


def test_a_law(tmp_path: Path) -> None:
    points = [Point(1, costs(2.0, 4.0, 3.0)), Point(1000, costs(1.0, 2.0, 1.5)), Point(5000, fails)]
    law = Law("recipients", "rcpts", "falls.", points, per="recipient", whole="message")
    [found] = measure(lambda stack, work, long: [law], tmp_path, rounds=3, long=False)
    assert found.part("ours") == {
        "law": "recipients",
        "unit": "rcpts",
        "per": "recipient",
        "says": "falls.",
        "points": [
            {
                "x": 1,
                "server": "ours",
                "cpu_ms": pytest.approx([2.0, 4.0, 3.0]),
                "note": "3.0 ms a message",
            },
            {
                "x": 1000,
                "server": "ours",
                "cpu_ms": pytest.approx([1.0, 2.0, 1.5]),
                "note": "1500.0 ms a message",
            },
            {"x": 5000, "server": "ours", "cpu_ms": [], "note": "failed: no room"},
        ],
    }
    head, first, second, third = found.lines()
    assert head == "recipients: falls."
    assert "3.000 ms (2.000-4.000) a recipient  x 1.00" in first and "x 0.50" in second
    assert third.split() == ["5000", "rcpts", "-", "failed:", "no", "room"]


def test_sizes_take_turns(tmp_path: Path) -> None:
    order: list[int] = []

    def run(size: int) -> Callable[[], Sample]:
        return lambda: order.append(size) or Sample(1, 1.0, 1.0)

    law = Law("l", "u", "s", [Point(1, run(1)), Point(2, run(2))])
    list(measure(lambda stack, work, long: [law], tmp_path, rounds=3, long=False))
    assert order == [1, 2, 2, 1, 1, 2]


def test_figures_of_one_measurement() -> None:
    def once(server: str, number: int) -> list[float]:
        if server == "bad" and number:
            raise RuntimeError("it ended")
        return [float(number), number + 0.5]

    one, two = all_of([Figure("a", "s", "", 0.5), Figure("b", "MB", "")], ["good", "bad"], 3, once)
    assert one.part() == {
        "row": "a",
        "unit": "s",
        "per": "",
        "reach": 0.5,
        "servers": {"good": [0.0, 1.0, 2.0], "bad": [0.0]},
        "failures": {"bad": "it ended"},
    }
    assert two.values == {"good": [0.5, 1.5, 2.5], "bad": [0.5]} and two.failures == one.failures


@pytest.mark.parametrize(
    ("values", "percent", "value"),
    [([5], 50, 5), ([3, 1, 2], 50, 2), ([3, 1, 2], 99, 3), (range(1, 101), 99, 99), (range(1, 201), 50, 100)],
)
def test_percentiles(values: Any, percent: float, value: float) -> None:
    assert percentile(list(values), percent) == value


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1k"), (1500, "1500"), (100_000, "100k"), (2_000_000, "2M")],
)
def test_short_numbers(count: int, text: str) -> None:
    assert short(count) == text


def test_clients_come_from_loopback_addresses() -> None:
    assert [source(number) for number in (0, 19_999, 20_000, 70_000)] == [
        "127.0.0.1",
        "127.0.0.1",
        "127.0.1.1",
        "127.0.3.1",
    ]


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (0, []),
        (2, ["relay", "block_me"]),
        (7, ["relay", "block_me", "record_envelope_addresses", "data.signatures", "logging/apache", "relay_5: relay", "block_me_6: block_me"]),
    ],
)  # fmt: skip
def test_working_plugins(count: int, names: list[str]) -> None:
    assert real_names(count) == names


# ---- a queue with very many entries


def test_a_stuffed_queue(tmp_path: Path) -> None:
    directory = tmp_path / "queue"
    with StuffedQueue(directory, 100):
        files = list(directory.iterdir())
        names = {QueueFileName.parse(file.name) for file in files}
        assert len(names) == 100 and len({file.stat().st_ino for file in files}) == 1
        assert len({name.next_attempt for name in names}) == 100
    assert not directory.exists()


def test_more_names_than_a_file_may_have() -> None:
    names = {entry_name(1_800_000_000_000, number) for number in range(2 * LINKS)}
    assert len(names) == 2 * LINKS


def test_no_room(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="are needed in"):
        check_room(tmp_path, 10**15)


# ---- the event loop


def busy(longest: float, at: dict[str, str] | None = None, **counts: int) -> dict[str, Any]:
    histogram = {"1": 0, "20": 0, "50": 0, "more": 0} | {name.strip("_"): n for name, n in counts.items()}
    cpu = {"histogram": histogram, "longest": longest / 2}
    return {"histogram": histogram, "longest": longest, "longest_at": at or {}, "cpu": cpu}


PLACE = {"plugin": "core", "at": "mta/x.py:1"}


@pytest.mark.parametrize(
    ("before", "after", "longest"),
    [
        (busy(0.0), busy(0.0), 0.0),
        (busy(0.0, _1=5), busy(0.0073, _1=9, _20=1), 7.3),
        (busy(0.03, _50=1), busy(0.03, _1=9, _20=1, _50=1), 20.0),
        (busy(0.03, _50=1), busy(0.03, _50=2), 30.0),
        (busy(0.4, more=1), busy(0.4, more=2), 400.0),
        (busy(0.4, more=1), busy(0.4, more=1), 0.0),
    ],
)
def test_the_longest_turn_of_a_row(before: Any, after: Any, longest: float) -> None:
    assert hub.part("row", before, after)["longest_ms"] == longest


def test_what_a_row_added() -> None:
    part = hub.part("r", busy(0.001, _1=5), busy(0.3, PLACE, _1=9, _50=2, more=1))
    assert part == {
        "row": "r",
        "longest_ms": 300.0,
        "longest_at": PLACE,
        "histogram": [[1, 4], [20, 0], [50, 2], ["more", 1]],
        "cpu": {"longest_ms": 150.0, "histogram": [[1, 4], [20, 0], [50, 2], ["more", 1]]},
    }
    assert hub.line(part).split() == (
        [
            "r",
            "loop",
            "held",
            "at",
            "most",
            "300.0",
            "ms",
            "at",
            "mta/x.py:1,",
            "150.0",
            "ms",
            "of",
            "CPU;",
            "to",
            "50",
            "ms:",
            "2,",
            "more:",
            "1",
            "OVER",
        ]
    )
    quiet = hub.part("r", busy(0.0), busy(0.0, _1=1))
    assert hub.line(quiet).endswith("none over 1 ms")


def test_rounds_are_added_up() -> None:
    found: list[hub.Part] = []
    hub.add(found, hub.part("r", busy(0.0), busy(0.03, PLACE, _1=1, _50=1)))
    quick = hub.part("r", busy(0.0), busy(0.01, _1=2, _20=1))
    quick["cpu"]["longest_ms"] = 17.0
    hub.add(found, quick)
    hub.add(found, hub.part("s", busy(0.0), busy(0.0)))
    assert [part["row"] for part in found] == ["r", "s"]
    assert found[0]["histogram"] == [[1, 3], [20, 1], [50, 1], ["more", 0]] == found[0]["cpu"]["histogram"]
    assert found[0]["cpu"]["longest_ms"] == 17.0
    assert (found[0]["longest_ms"], found[0]["longest_at"]) == (30.0, PLACE)


def test_of_several_of_ours_the_second_is_named() -> None:
    looks = {"ours": busy(0.0), "ours nodes=2": busy(0.0)}
    assert [part["row"] for part in hub.parts("r", looks, looks)] == ["r", "r, ours nodes=2"]
