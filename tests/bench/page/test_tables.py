"""The tables of docs/performance.md, from a small run that has one of everything."""

from __future__ import annotations

from pathlib import Path

from tests.bench.page import figure_tables, row_tables
from tests.bench.page.aims import aims_table
from tests.bench.page.machine_table import machine_table
from tests.bench.page.run import Run, read
from tests.bench.page.site import PARTS

RUN = read([Path(__file__).with_name("sample.json")])
EMPTY = Run({**RUN.content, "rows": [], "figures": [], "laws": [], "hub": []})


def lines(text: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1, "every row of a table has as many cells"
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_reach_says_what_is_met_and_why_nobody_can_tell() -> None:
    assert lines(row_tables.reach_table(RUN)) == [
        [
            "discard 1k c10 kept",
            "0.500 (0.490-0.520)",
            "0.0500 (0.0500-0.0500)",
            "0.10",
            "0.25",
            "0.1",
            "dream",
        ],
        ["discard 1k c100 one", "1.00 (1.00-1.00)", "0.260 (0.260-0.260)", "0.26", "0.25", "0.12", "**no**"],
        ["relay 1k c10 kept", "2.00 (2.00-2.00)", "0.240 (0.240-0.240)", "0.12", "0.15", "0.09", "reach"],
        [
            "forward 1k c10 kept",
            "-",
            "0.300 (0.300-0.300)",
            "-",
            "0.3",
            "0.15",
            "Haraka: nothing in plugins, plugins",
        ],
    ]
    assert "2 of 4 rows are within reach." in row_tables.reach_table(RUN)


def test_rows_with_an_aim_that_are_not_in_the_run_are_named() -> None:
    left_out = row_tables.reach_table(RUN).partition("Not measured in this run: ")[2]
    assert {"discard 5m c1 one", "relay 50k c10 kept", "starttls p256"} <= set(
        left_out.strip(".\n").split(", ")
    )
    assert "relay 1k c10 kept" not in left_out and "latency" not in left_out


def test_every_row_and_server_has_its_rate_and_cpu() -> None:
    rates, cpu = row_tables.rates_table(RUN), row_tables.cpu_table(RUN)
    servers = "ours | ours nodes=2 | Haraka | Postfix | slimta | bare gevent |"
    assert rates.startswith(f"| row | {servers}\n") and cpu.startswith(f"| row | {servers}\n")
    assert lines(rates)[0] == ["discard 1k c10 kept, msg/s", "14000", "25900", "1900", "-", "-", "30000"]
    assert lines(rates)[5] == ["fanout 200 domains, rcpt/s", "2000", "-", "400", "-", "-", "-"]
    assert lines(cpu)[3] == ["relay 1k c10 kept, ms a msg", "0.240", "-", "2.00", "1.80", "-", "-"]


def test_a_dash_has_its_reason_in_one_line() -> None:
    assert row_tables.failures_list(RUN) == (
        "* relay 1k c10 kept, slimta: its queue \\| is elsewhere\n* forward 1k c10 kept, Haraka: nothing in plugins, plugins\n"
        "* memory 100m relay, ours: no room\n"
    )


def test_latency_is_of_the_rows_that_have_it() -> None:
    assert lines(row_tables.latency_table(RUN)) == [["latency relay 1k c100", "4.00 / 16.5", "20.0 / 80.0"]]


def test_what_to_expect_is_told_by_typical_loads() -> None:
    assert lines(row_tables.expect_table(RUN)) == [
        ["discard 1k c10 kept", "0.0500", "20000 msg", "14000", "25900"],
        ["relay 1k c10 kept", "0.240", "4167 msg", "2400", "-"],
        ["forward 1k c10 kept", "0.300", "3333 msg", "2000", "-"],
        ["fanout 200 domains", "0.300", "3333 rcpt", "2000", "-"],
    ]


def test_promises_are_computed_from_the_rows() -> None:
    found = {row[0]: row[1:] for row in lines(aims_table(RUN))}
    assert found["relay 1k c10 kept: rate, ours ÷ Haraka"] == ["4.80", "≥ 5", "**no**"]
    assert found["relay 1k c10 kept: rate, ours ÷ Postfix"] == ["3.04", "≥ 3", "yes"]
    assert found["discard 1k c10 kept: CPU, ours ÷ bare gevent"] == ["2.00", "≤ 2.5", "yes"]
    assert found["latency relay 1k c100: p99, ours ÷ Haraka"] == ["0.21", "≤ 1", "yes"]
    assert found["compute 1k c10 kept: rate, ours nodes=2 ÷ ours"] == [
        "-",
        "≥ 1.7",
        "not measured in this run",
    ]
    assert found["discard 1k c10 kept: rate, ours nodes=2 ÷ ours"] == ["1.85", "", ""]
    assert found["discard 1k c10 kept: rate, Haraka nodes=2 ÷ Haraka"] == [
        "-",
        "",
        "Haraka nodes=2: not measured",
    ]
    assert found["latency relay 1k c10: p99, ours ÷ Haraka"] == ["-", "≤ 1", "not measured in this run"]


def test_promises_that_were_not_measured_stay_on_the_page() -> None:
    assert lines(aims_table(EMPTY))
    assert all(row[1] == "-" and row[3] == "not measured in this run" for row in lines(aims_table(EMPTY)))


def test_figures_by_server_with_their_aim() -> None:
    assert lines(figure_tables.figures_table(RUN)) == [
        ["start to banner, s", "0.300", "0.610", "0.5", "yes"],
        ["idle 10000, KB a connection", "12.0", "7.90", "10", "**no**"],
        ["memory 100m relay, MB growth", "-", "30.0", "-", "no room"],
    ]


def test_a_law_has_its_sentence_its_chart_and_its_points_in_order() -> None:
    part = figure_tables.laws_part(RUN)
    assert "### CPU by entries in the queue\n\nWhat waits costs nothing until it is due.\n" in part
    assert "](performance/law-entries-in-the-queue.svg)" in part
    assert lines(figure_tables.law_table(RUN.laws[0])) == [
        ["0", "0.200", "2.00", "an empty queue"],
        ["10k", "0.230", "-", ""],
        ["1M", "0.250", "-", ""],
    ]


def test_a_law_may_be_about_something_else_than_messages() -> None:
    part = figure_tables.laws_part(RUN).partition("### CPU by recipients of a message\n")[2]
    assert part.startswith("\nFalling, for the message is kept once.\n")
    assert "| recipients | ours, CPU ms a recipient | note |" in part
    assert lines(part) == [["1", "0.300", "0.3 ms a message"], ["1k", "-", "failed: no room"]]


def test_the_loop_may_not_be_held_for_longer_than_20_ms() -> None:
    assert lines(figure_tables.hub_table(RUN)) == [
        ["relay 1k c10 kept", "7.10", "6.90", "12345", "4", "0", "0", "yes", ""],
        [
            "relay 5m c10 kept",
            "31.0",
            "20.4",
            "500",
            "4",
            "1",
            "2",
            "**no**",
            "core queue mta/outbound/split.py:41",
        ],
        ["relay 5m c100 kept", "38.7", "12.0", "100", "0", "1", "1", "of CPU", ""],
    ]


def test_the_machine_is_named_and_is_no_markup() -> None:
    text = machine_table(RUN)
    assert "| processor | A & B &lt;fast> |" in text and "| made | 2026-11-26 05:00:00 UTC |" in text
    assert "| runs of each row | 3, of about 1.5 s each |" in text


def test_each_part_says_so_when_nothing_was_measured() -> None:
    for name in ("reach", "rates", "cpu", "latency", "expect", "figures", "laws", "hub"):
        assert "measured" in PARTS[name](EMPTY) or "watched" in PARTS[name](EMPTY), name
