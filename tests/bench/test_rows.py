"""The rows as data: their names, how far they should reach, and who takes part."""

from __future__ import annotations

import pytest

from tests.bench import names
from tests.bench.rows import (
    FANOUT_ROWS,
    LATENCY_ROWS,
    SESSION_ROWS,
    LatencyRow,
    Row,
    SessionRow,
    chosen,
    every_row,
    takes_part,
)

TELLING = Row("discard", "1k", 10, True)


def takers(row: object, *asked_for: str, all_peers: bool = False) -> set[str]:
    return {name for name in names.EVERYBODY if takes_part(row, name, asked_for, all_peers)}


def test_no_two_rows_have_one_name() -> None:
    every = [row.name for row in (*every_row(), *LATENCY_ROWS, *SESSION_ROWS, *FANOUT_ROWS)]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("row", "goal"),
    [
        (Row("discard", "1k", 10, True), (0.25, 0.10)),
        (Row("discard", "1k", 100, False), (0.25, 0.12)),
        (Row("discard", "5m", 1, False), (0.25, 0.12)),
        (Row("relay", "1k", 10, False), (0.15, 0.09)),
        (Row("forward", "1k", 10, True), (0.30, 0.15)),
        (SessionRow("starttls", "p256"), (0.45, 0.30)),
        (SessionRow("submit", "p256"), None),
        (Row("chain", "1k", 10, True), None),
    ],
)
def test_reach_and_dream(row: Row | SessionRow, goal: tuple[float, float] | None) -> None:
    assert row.goal == goal


@pytest.mark.parametrize(
    ("row", "beside"),
    [
        (TELLING, {*names.NODES, *names.PEERS}),
        (Row("discard", "1k", 10, False), set(names.PEERS)),
        (Row("discard", "5m", 10, True), set(names.PEERS)),
        (Row("discard", "1k", 100, True), set(names.NODES)),
        (Row("discard", "1k", 1, True), set()),
        (Row("relay", "1k", 10, True), {*names.NODES, names.POSTFIX, names.SLIMTA}),
        (Row("relay-mixed", "1k", 10, True), {names.POSTFIX}),
        (Row("forward", "1k", 10, True), set()),
        (Row("compute", "1k", 10, True), set(names.NODES)),
        (LatencyRow(100), set()),
        (SessionRow("starttls", "p256"), set()),
    ],
)
def test_who_takes_part(row: object, beside: set[str]) -> None:
    assert takers(row) == {*names.PAIR, *beside}


def test_all_peers_take_part_in_what_they_can_do() -> None:
    assert takers(Row("relay", "5m", 1, False), all_peers=True) == {
        *names.PAIR,
        *names.NODES,
        names.POSTFIX,
        names.SLIMTA,
    }
    assert takers(Row("discard", "50k", 1, False), all_peers=True) == set(names.EVERYBODY)


def test_who_is_named_takes_part_and_nobody_else() -> None:
    asked_for = names.BARE, names.OURS_NODES
    assert takers(Row("discard", "50k", 1, True), *asked_for) == set(asked_for)
    assert takers(Row("relay", "50k", 1, True), *asked_for) == {names.OURS_NODES}


def test_a_pattern_and_quick_choose_rows() -> None:
    quick = chosen(every_row(), "relay 1k", quick=True)
    assert [row.name for row in quick] == ["relay 1k c10 kept", "relay 1k c10 one"]
    assert len(chosen(every_row(), "relay 1k", quick=False)) == 6
