"""Levels, the three formats, escaping, the log hook, and holding back until plugins are ready."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from mta import logger as log
from mta.log_format import escape, iso_time
from mta.logger import LEVEL_NAMES, LEVELS, Logger, Record


def written(level: int = log.DATA, **settings: object) -> tuple[Logger, list[str]]:
    lines: list[str] = []
    return Logger(level, write=lines.append, **settings), lines  # type: ignore[arg-type]


def test_levels_have_harakas_numbers() -> None:
    assert LEVELS == {
        "DATA": 9,
        "PROTOCOL": 8,
        "DEBUG": 7,
        "INFO": 6,
        "NOTICE": 5,
        "WARN": 4,
        "ERROR": 3,
        "CRIT": 2,
        "ALERT": 1,
        "EMERG": 0,
    }


@pytest.mark.parametrize("threshold", range(10))
def test_everything_up_to_the_level_is_written(threshold: int) -> None:
    logger, lines = written(threshold)
    for name in LEVEL_NAMES:
        getattr(logger, name.lower())("by name")
        logger.log(LEVELS[name], "by number")
        assert logger.would_log(LEVELS[name]) == (LEVELS[name] <= threshold)
    said = [line.split("]")[0].lstrip("[") for line in lines]
    assert said == [name for name in LEVEL_NAMES[: threshold + 1] for _ in range(2)]


def test_starts_at_warn() -> None:
    assert Logger().level == log.WARN


@pytest.mark.parametrize(
    ("fields", "tail"),
    [
        (None, ""),
        ({}, ""),
        ({"ip": "::1", "port": 25}, " ip=::1 port=25"),
        ({"msg": "two words"}, ' msg="two words"'),
        ({"lr": ""}, ' lr=""'),
        ({"lr": None}, ' lr=""'),
        ({"a": "x=y", "b": 'say "hi"', "c": "back\\slash"}, r' a="x=y" b="say \"hi\"" c="back\\slash"'),
        ({"tls": True, "early": False, "time": 0.25, "rcpts": ["a", "b"]}, " tls=true early=false time=0.25 rcpts=a,b"),
        ({"evil": "a\r\n[CRIT] forged"}, r' evil="a\r\n[CRIT] forged"'),
        ({"evil": "tab\there"}, r' evil="tab\there"'),
    ],
)  # fmt: skip
def test_default_line(fields: dict[str, object] | None, tail: str) -> None:
    logger, lines = written()
    logger.notice("connect", fields, origin="server", uuid="AB-1")
    assert lines == ["[NOTICE] [AB-1] [server] connect" + tail]


def test_default_line_without_uuid_and_origin() -> None:
    logger, lines = written()
    logger.info("hello")
    assert lines == ["[INFO] [-] [core] hello"]


def test_default_line_of_keys_alone() -> None:
    logger, lines = written()
    logger.info("", {"hook": "mail"})
    assert lines == ["[INFO] [-] [core] hook=mail"]


def test_logfmt_line() -> None:
    logger, lines = written(format="logfmt")
    logger.notice("queue done", {"code": "OK", "msg": 'a "b"'}, origin="queue/test", uuid="U.1")
    assert lines == [r'level=NOTICE uuid=U.1 source=queue/test message="queue done" code=OK msg="a \"b\""']
    assert shlex.split(lines[0])[3:] == ["message=queue done", "code=OK", 'msg=a "b"']


def test_json_line() -> None:
    logger, lines = written(format="json")
    logger.error("grün", {"bytes": 12, "ok": True, "none": None, "list": ["a", 1]}, origin="x", uuid="U")
    assert json.loads(lines[0]) == {
        "level": "ERROR",
        "uuid": "U",
        "source": "x",
        "message": "grün",
        "bytes": 12,
        "ok": True,
        "none": None,
        "list": ["a", 1],
    }
    assert list(json.loads(lines[0]))[:4] == ["level", "uuid", "source", "message"]


@pytest.mark.parametrize("format", ["default", "logfmt", "json"])
@pytest.mark.parametrize(
    "evil",
    [
        "\r\n",
        "\n",
        "\r",
        "\x00",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\x9b31m",
        "\u2028",
        "\u202e",
        "\u2066",
        "\udcff",
    ],
)
def test_no_character_breaks_the_line_or_drives_the_terminal(format: str, evil: str) -> None:
    logger, lines = written(format=format)
    logger.notice(f"HELO {evil}", {"host": evil, f"k{evil}": 1}, uuid=f"u{evil}", origin=f"o{evil}")
    assert len(lines) == 1
    for character in evil:
        if not character.isascii() or not character.isprintable():
            assert character not in lines[0]
    lines[0].encode()
    if format == "json":
        assert json.loads(lines[0])["host"] == evil


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain ünïcode 邮件 😀", "plain ünïcode 邮件 😀"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x00\x1b\x7f\x9b", r"\x00\x1b\x7f\x9b"),
        ("\u2028\u202e", r"\u2028\u202e"),
        (b"\xff\xfe".decode("utf-8", "surrogateescape"), r"\xff\xfe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_escape(raw: str, shown: str) -> None:
    assert escape(raw) == shown


def test_values_of_any_type_become_text() -> None:
    logger, lines = written(format="json")
    logger.notice("m", {"error": OSError(28, "No space left")})
    assert json.loads(lines[0])["error"] == "[Errno 28] No space left"


def test_iso_time_keeps_milliseconds() -> None:
    assert iso_time(1795310499.1239) == "2026-11-22T01:21:39.123Z"


@pytest.mark.parametrize(
    ("format", "pattern"),
    [
        ("default", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[INFO\] \[-\] \[core\] m"),
        ("logfmt", r"timestamp=\d{4}-\S+Z level=INFO .*"),
        ("json", r'\{"timestamp": "\d{4}-\S+Z", "level": "INFO".*\}'),
    ],
)
def test_timestamps(format: str, pattern: str) -> None:
    logger, lines = written(format=format, timestamps=True)
    logger.info("m")
    assert re.fullmatch(pattern, lines[0])
    if format == "json":
        assert json.loads(lines[0])["message"] == "m"


@pytest.mark.parametrize(
    ("level", "colour"),
    [
        (log.DATA, 32),
        (log.PROTOCOL, 32),
        (log.DEBUG, 90),
        (log.INFO, 36),
        (log.NOTICE, 34),
        (log.WARN, 31),
        (log.EMERG, 31),
    ],
)
def test_the_whole_line_is_coloured(level: int, colour: int) -> None:
    logger, lines = written(colours=True)
    logger.log(level, "m")
    assert lines == [f"\x1b[{colour}m[{LEVEL_NAMES[level]}] [-] [core] m\x1b[0m"]


def test_configure_changes_what_it_is_given() -> None:
    logger, lines = written(log.WARN)
    logger.configure(level=log.INFO)
    logger.info("one")
    logger.configure(format="logfmt")
    logger.info("two")
    logger.configure(timestamps=True)
    logger.info("three")
    assert lines[0] == "[INFO] [-] [core] one"
    assert lines[1] == "level=INFO uuid=- source=core message=two"
    assert lines[2].startswith("timestamp=")


def test_log_hook_sees_records_and_may_keep_them() -> None:
    logger, lines = written()
    seen: list[Record] = []

    def hook(record: Record) -> bool:
        seen.append(record)
        return record.message != "secret"

    logger.plugins_ready(hook)
    logger.notice("secret", {"k": 1}, uuid="U", origin="o")
    logger.notice("public")
    assert lines == ["[NOTICE] [-] [core] public"]
    first = seen[0]
    assert (first.level, first.level_name, first.message, first.fields, first.uuid, first.origin) == (
        log.NOTICE,
        "NOTICE",
        "secret",
        {"k": 1},
        "U",
        "o",
    )


def test_log_hook_is_not_asked_below_the_level() -> None:
    logger, _ = written(log.WARN)
    seen: list[Record] = []
    logger.plugins_ready(lambda record: not seen.append(record))
    logger.info("quiet")
    assert seen == []


def test_log_hook_that_logs_does_not_call_itself() -> None:
    logger, lines = written()

    def hook(record: Record) -> bool:
        logger.info(f"about {record.message}")
        return False

    logger.plugins_ready(hook)
    logger.notice("m")
    logger.notice("n")
    assert lines == ["[INFO] [-] [core] about m", "[INFO] [-] [core] about n"]


def test_a_blocking_log_hook_still_sees_the_lines_of_other_greenlets() -> None:
    import threading  # greenlets, in the patched suite

    logger, _ = written()
    seen: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def hook(record: Record) -> bool:
        seen.append(record.message)
        if record.message == "slow":
            entered.set()
            leave.wait(5)
        return True

    logger.plugins_ready(hook)
    slow = threading.Thread(target=logger.notice, args=("slow",))
    slow.start()
    entered.wait(5)
    logger.notice("meanwhile")
    leave.set()
    slow.join(5)
    assert seen == ["slow", "meanwhile"]


def test_records_wait_for_the_plugins() -> None:
    logger, lines = written(log.INFO, hold=True)
    logger.info("first")
    logger.debug("below the level")
    logger.configure(level=log.WARN)
    logger.crit("second")
    assert lines == []
    seen: list[str] = []
    logger.plugins_ready(lambda record: not seen.append(record.message))
    logger.crit("third")
    assert seen == ["first", "second", "third"]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["first", "second", "third"]


def test_records_are_replayed_without_a_hook() -> None:
    logger, lines = written(hold=True)
    logger.notice("m")
    logger.plugins_ready(None)
    assert lines == ["[NOTICE] [-] [core] m"]


def test_held_records_are_bounded_and_the_lost_ones_counted() -> None:
    logger, lines = written(hold=True)
    for number in range(log.MAX_HELD + 5):
        logger.notice(str(number))
    logger.plugins_ready(None)
    assert lines[0].endswith("] 5")
    assert lines[-1] == "[WARN] [-] [logger] 5 earlier log lines were dropped before plugins were ready"
    assert len(lines) == log.MAX_HELD + 1
