"""--smoke measures each kind of row once, and only a row that cannot run makes it fail."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.bench import smoke
from tests.bench.__main__ import Bench, arguments, plan_of
from tests.bench.load import Sample
from tests.bench.rows import FANOUT_ROWS, LATENCY_ROWS, SESSION_ROWS, every_row
from tests.bench.throughput import Result

ROW = next(every_row())
GROUPS = [list(every_row()), LATENCY_ROWS, SESSION_ROWS, FANOUT_ROWS]


@pytest.mark.parametrize("rows", GROUPS)
def test_every_kind_of_row_is_chosen_once(rows: list) -> None:
    chosen = Bench(arguments(["--smoke"]), Path()).chosen(rows)
    kinds = {row.kind for row in rows}
    assert Counter(row.kind for row in chosen) == Counter(kinds)
    assert all(row in rows for row in chosen)


def test_it_is_the_row_in_which_all_peers_take_part() -> None:
    bench = Bench(arguments(["--smoke"]), Path())
    discard, relay = bench.chosen(list(every_row()))[:2]
    assert (discard.name, relay.name) == ("discard 1k c10 kept", "relay 1k c10 kept")
    assert {"Postfix", "aiosmtpd", "slimta", "bare gevent"} <= set(bench.of(discard))


def test_rows_may_be_chosen_by_name_too() -> None:
    bench = Bench(arguments(["--smoke", "--only", "relay 5m*one"]), Path())
    assert [row.name for row in bench.chosen(list(every_row()))] == ["relay 5m c1 one"]


def test_each_row_runs_once_and_briefly() -> None:
    plan = plan_of(arguments(["--smoke"]))
    assert plan.rounds == 1 and plan.seconds < 0.1


def test_a_peer_that_is_not_there_is_no_failure() -> None:
    result = Result(
        ROW, {"ours": [Sample(1, 1.0, 1.0)]}, {"slimta": "not installed", "Haraka": "never came up"}
    )
    assert list(smoke.failures([result])) == []
    assert smoke.status([result]) == 0


def test_a_row_that_cannot_run_fails_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    ours = Result(ROW, {"Haraka": [Sample(1, 1.0, 1.0)]}, {"ours": "exit status 1"})
    nobody = Result(ROW)
    assert smoke.status([ours, nobody]) == 1
    assert capsys.readouterr().err == (
        f"{ROW.name} cannot run: exit status 1\n{ROW.name} cannot run: nobody did it\n"
    )
