"""How many deliveries at once: the window learns from success and failure."""

from __future__ import annotations

import pytest

from mta.outbound.window import Window


def test_a_window_grows_by_one_in_each_round_up_to_its_limit() -> None:
    window = Window(initial=5, limit=7, patience=1)
    sizes = []
    for _ in range(30):
        window.succeeded(under_way=window.size)
        sizes.append(window.size)
    assert [sizes.index(size) + 1 for size in (6, 7)] == [5, 11]
    assert sizes[-1] == 7


def test_a_window_that_is_far_from_filled_does_not_grow() -> None:
    window = Window(5, 20, 1)
    for _ in range(100):
        window.succeeded(under_way=2)
    assert window.size == 7


def test_failures_narrow_it_and_a_round_of_nothing_else_closes_it() -> None:
    window = Window(5, 20, patience=3)
    sizes = []
    while not window.failed():
        sizes.append(window.size)
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 5
    assert window.size == 5, "what was learnt is forgotten after that"


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_one_round_of_failures_is_as_many_as_go_at_once(size: int) -> None:
    window = Window(size, 20, patience=1)
    results = [window.failed()]
    while not results[-1]:
        results.append(window.failed())
    assert len(results) <= 2 * size + 1
    if size == 1:
        assert len(results) == 1


def test_a_success_between_makes_the_failures_count_anew() -> None:
    window = Window(5, 20, patience=1)
    for _ in range(50):
        assert not window.failed()
        for _ in range(5):
            window.succeeded(1)
    assert window.size >= 4


def test_without_patience_a_site_is_never_given_up() -> None:
    window = Window(5, 20, patience=0)
    assert not any(window.failed() for _ in range(1000))
    assert window.size == 1


@pytest.mark.parametrize("limit", [5, 10, 15])
def test_a_server_that_takes_only_so_many_turns_away_few(limit: int) -> None:
    """Postfix's SCHEDULER_README, 1/N feedback: at a limit of 5 one in six is deferred."""
    window = Window(initial=5, limit=20, patience=0)
    total = deferred = 0
    while total < 5000:
        for number in range(window.size):
            total += 1
            if number >= limit:
                deferred += 1
                window.failed()
            else:
                window.succeeded(window.size)
    assert deferred / total <= 1 / (limit + 1)
    assert limit - 1 <= window.size <= limit + 1


def test_other_bounds_keep_what_was_learnt() -> None:
    window = Window(5, 20, 1)
    for _ in range(500):
        window.succeeded(window.size)
    assert window.size == 20
    window.configure(initial=5, limit=12, patience=1)
    assert window.size == 12
    window.configure(initial=15, limit=20, patience=1)
    assert window.size == 15
