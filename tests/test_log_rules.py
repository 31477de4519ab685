"""Levels by source and by hook, and levels that are changed."""

from __future__ import annotations

import pytest

from mta.log_rules import LogRules, Relabel
from mta.logger import DATA, DEBUG, EMERG, ERROR, INFO, NOTICE, PROTOCOL, WARN, Logger, Record
from mta.logger_setup import relabel_of


@pytest.mark.parametrize(
    ("relabel", "level", "new"),
    [
        (Relabel(shift=1), INFO, DEBUG),
        (Relabel(shift=-3), INFO, ERROR),
        (Relabel(shift=-9), WARN, EMERG),
        (Relabel(shift=5), DEBUG, DATA),
        (Relabel(fixed=NOTICE), DATA, NOTICE),
        (Relabel(fixed=NOTICE), EMERG, NOTICE),
    ],
)
def test_levels_are_changed_within_their_bounds(relabel: Relabel, level: int, new: int) -> None:
    assert relabel.of(level) == new


@pytest.mark.parametrize("text", ["+1", "-2", "WARN", "DATA", "EMERG", "+9"])
@pytest.mark.parametrize("threshold", range(10))
def test_nothing_that_would_be_printed_is_missed_below_the_top(text: str, threshold: int) -> None:
    rules = LogRules(threshold, relabel={"x": relabel_of(text)})
    for level in range(10):
        record = Record(level, "m", None, "x", "-")
        rules.apply(record)
        assert level <= rules.top() or not record.printed


def logger_with(**rules: dict[str, int]) -> tuple[Logger, list[str]]:
    lines: list[str] = []
    logger = Logger(INFO, write=lines.append)
    logger.rule(rules.get("plugins", {}), rules.get("hooks", {}), {})
    return logger, lines


def test_a_source_may_say_more_or_less_than_the_others() -> None:
    logger, lines = logger_with(plugins={"karma": PROTOCOL, "loud": WARN})
    for origin in ("karma", "loud", "core"):
        logger.debug("debug", origin=origin)
        logger.info("info", origin=origin)
        logger.warn("warn", origin=origin)
    assert [line.replace("[-] ", "") for line in lines] == [
        "[DEBUG] [karma] debug",
        "[INFO] [karma] info",
        "[WARN] [karma] warn",
        "[WARN] [loud] warn",
        "[INFO] [core] info",
        "[WARN] [core] warn",
    ]


def test_the_level_goes_back_when_the_rules_go() -> None:
    logger, _ = logger_with(plugins={"karma": DATA})
    assert logger.level == DATA
    logger.rule({}, {}, {})
    assert logger.level == INFO
    logger.want("nobody listens", DATA)
    assert logger.level == INFO


def test_relabelled_lines_carry_their_new_level() -> None:
    lines: list[str] = []
    logger = Logger(INFO, write=lines.append)
    logger.rule({}, {}, {"karma": Relabel(shift=-2), "chatty": Relabel(shift=1)})
    logger.protocol("p", origin="karma")
    logger.data("d", origin="karma")
    logger.info("i", origin="chatty")
    logger.debug("b")
    assert lines == ["[INFO] [-] [karma] p"]
