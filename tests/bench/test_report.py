"""The pure parts behind the figures: ratios, percentiles, the printed block and the JSON object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mta.version import VERSION
from tests.bench import comparisons, document, report
from tests.bench.figure import Figure
from tests.bench.latency import percentile
from tests.bench.load import Sample
from tests.bench.rows import LATENCY_ROWS, LatencyRow, Row, every_row
from tests.bench.throughput import Plan, Result


@pytest.fixture
def result() -> Result:
    """Haraka 100/s at 4 ms, ours 500/s at 0.5 ms; the odd runs out must not count."""
    samples = {
        "Haraka": [Sample(100, 1.0, 0.4, 80.0), Sample(100, 1.0, 0.4, 90.0), Sample(100, 50.0, 9.0, 85.0)],
        "ours": [Sample(500, 1.0, 0.25), Sample(500, 1.0, 0.25), Sample(500, 0.1, 0.01)],
    }
    return Result(Row("relay", "1k", 10, True), samples, {"Postfix": "it is not here"})


def test_ratios_are_those_of_medians(result: Result) -> None:
    assert report.ratio(result, "ours", report.rate) == pytest.approx(5.0)
    assert report.ratio(result, "ours", report.cpu) == pytest.approx(0.125)
    assert report.ratio(result, "Postfix", report.rate) is None
    assert report.ratio(result, "ours", report.rate, "Postfix") is None


def test_a_block_has_a_line_for_each_server(result: Result) -> None:
    head, haraka, ours, postfix = report.block(result).splitlines()
    assert head.startswith("relay 1k c10 kept") and "reach 0.15, dream 0.09" in head
    assert (
        haraka.split()[:3] == ["Haraka", "100.0", "(2.0-100.0)"] and "90 MB" in haraka and " x " not in haraka
    )
    assert ours.split()[:3] == ["ours", "500", "(500-5000)"] and "5.00 x rate  0.125 x CPU" in ours
    assert postfix.split() == ["Postfix", "not", "measured:", "it", "is", "not", "here"]


def test_latency_is_printed_where_it_was_measured() -> None:
    samples = {"ours": [Sample(10, 1.0, 0.1, 50.0, 2.0, 9.0)]}
    assert "p50 2.0 (2.0-2.0) p99 9.0 (9.0-9.0) ms" in report.block(Result(LatencyRow(100), samples))


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100), (0.01, 1), (0.001, 1)]
)
def test_percentile_is_the_nearest_rank(share: float, value: int) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_percentile_of_one_value() -> None:
    assert percentile([7.0], 0.99) == percentile([7.0], 0.5) == 7.0


def test_json_has_the_parts_of_all(result: Result, tmp_path: Path) -> None:
    growth = Figure("memory 100m relay", "MB", "growth", 8, {"ours": [1.5]})
    written = document.compose(Plan(3, 1.0, 0), [result], [growth.part()], [{"law": "a"}], [{"row": "b"}])
    document.write(tmp_path / "figures.json", written)
    read = json.loads((tmp_path / "figures.json").read_text())
    assert set(read) == {"made", "version", "machine", "plan", "rows", "figures", "laws", "hub"}
    assert read["version"] == VERSION
    assert {"cpus", "model", "kernel", "python", "memory_mb"} <= set(read["machine"])
    assert read["plan"] == {"rounds": 3, "seconds": 1.0}
    assert read["figures"] == [
        {
            "row": "memory 100m relay",
            "unit": "MB",
            "per": "growth",
            "reach": 8,
            "servers": {"ours": [1.5]},
            "failures": {},
        }
    ]
    assert (read["laws"], read["hub"]) == ([{"law": "a"}], [{"row": "b"}])


def test_json_of_a_row(result: Result) -> None:
    row = document.row(result)
    assert {key: row[key] for key in ("row", "kind", "unit", "reach", "dream")} == {
        "row": "relay 1k c10 kept",
        "kind": "relay",
        "unit": "msg",
        "reach": 0.15,
        "dream": 0.09,
    }
    assert row["failures"] == {"Postfix": "it is not here"}
    assert row["servers"]["Haraka"][0] == {"rate": 100.0, "cpu_ms": 4.0, "messages": 100, "rss_mb": 80.0}
    assert row["servers"]["ours"][0] == {"rate": 500.0, "cpu_ms": 0.5, "messages": 500}
    timed = document.sample(Sample(10, 1.0, 0.1, 50.0, 2.0, 9.0))
    assert (timed["p50_ms"], timed["p99_ms"]) == (2.0, 9.0)


def test_a_promise_about_two_servers_is_a_figure(result: Result) -> None:
    found = list(comparisons.measured([result]))
    assert [(promise.other, value) for promise, value in found] == [("Haraka", pytest.approx(5.0))]
    assert comparisons.figure(*found[0]) == {
        "row": "relay 1k c10 kept: rate, ours to Haraka",
        "unit": "x",
        "per": "",
        "reach": 5,
        "servers": {"ours": [pytest.approx(5.0)]},
    }


def test_every_promise_names_a_row_that_is_there() -> None:
    there = {row.name for row in (*every_row(), *LATENCY_ROWS)}
    assert {promise.row for promise in comparisons.PROMISES} <= there
