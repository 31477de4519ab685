"""The logger with real configuration files and a real pipe: who wins at start, and who wins later."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from mta import logger as log
from mta.config import Config
from mta.logger import Logger
from mta.logger_setup import configure_from, open_logger


class House:
    """An installation's configuration directory, a logger, and what it wrote."""

    def __init__(self, root: Path) -> None:
        self.config_dir = root / "install" / "config"
        self.config_dir.mkdir(parents=True)
        (root / "etc").mkdir()
        self.lines: list[str] = []
        self.problems: list[str] = []
        self.logger = Logger(write=self.lines.append)
        notice = lambda problem: self.problems.append(str(problem))  # noqa: E731  (one expression, used once)
        self.config = Config(root / "install", root / "etc", notice)

    def write(self, name: str, text: str) -> None:
        (self.config_dir / name).write_text(text)

    def says(self, *, level: int, timestamps: bool = False) -> bool:
        self.lines.clear()
        self.logger.log(0, "probe")
        return self.logger.level == level and self.lines[0].startswith("2") == timestamps

    def wait(self, *, level: int, timestamps: bool = False) -> None:
        deadline = time.monotonic() + 10
        while not self.says(level=level, timestamps=timestamps):
            assert time.monotonic() < deadline, (self.logger.level, self.lines)
            gevent.sleep(0.02)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.config.close()


def test_without_files_the_level_is_info_and_there_are_no_timestamps(house: House) -> None:
    configure_from(house.logger, house.config)
    assert house.says(level=log.INFO, timestamps=False)


@pytest.mark.parametrize("level", ["debug", "DEBUG", "LOGDEBUG", "7"])
def test_log_ini(house: House, level: str) -> None:
    house.write("log.ini", f"level={level}\ntimestamps=true\nformat=logfmt\n")
    configure_from(house.logger, house.config)
    house.logger.info("m")
    assert house.logger.level == log.DEBUG
    assert house.lines[0].startswith("timestamp=2")
    assert house.lines[0].endswith("level=INFO uuid=- source=core message=m")


def test_single_files_win_at_start(house: House) -> None:
    house.write("log.ini", "level=error\ntimestamps=false\n")
    house.write("loglevel", "PROTOCOL\n")
    house.write("log_timestamps", "true\n")
    configure_from(house.logger, house.config)
    assert house.says(level=log.PROTOCOL, timestamps=True)


def test_a_wrong_level_is_reported_and_changes_nothing(house: House) -> None:
    house.write("log.ini", "level=notice\n")
    house.write("loglevel", "loud\n")
    configure_from(house.logger, house.config)
    assert house.logger.level == log.NOTICE
    assert ["loglevel:1" in problem and "data, protocol" in problem for problem in house.problems] == [True]


def test_the_file_edited_last_wins(house: House) -> None:
    house.write("log.ini", "level=error\n")
    house.write("loglevel", "debug\n")
    configure_from(house.logger, house.config)
    house.config.watch()
    house.wait(level=log.DEBUG)
    house.write("log.ini", "level=warn\n")
    house.wait(level=log.WARN)
    house.write("loglevel", "info\n")
    house.wait(level=log.INFO)
    house.write("log_timestamps", "1\n")
    house.wait(level=log.INFO, timestamps=True)
    house.write("log_timestamps", "0\n")
    (house.config_dir / "loglevel").unlink()
    house.wait(level=log.WARN, timestamps=False)


def test_opened_logger_holds_back_then_writes(tmp_path: Path) -> None:
    reader, fd = os.pipe()
    logger, writer = open_logger(fd)
    logger.warn("early")
    gevent.sleep(0.2)
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    logger.plugins_ready(None)
    logger.warn("late")
    assert writer.close()
    assert os.read(reader, 1000) == b"[WARN] [-] [core] early\n[WARN] [-] [core] late\n"
    os.close(reader)
    os.close(fd)


def test_opened_logger_reports_dropped_lines_in_its_own_format() -> None:
    reader, fd = os.pipe()
    logger, writer = open_logger(fd)
    logger.plugins_ready(None)
    logger.configure(format="json")
    os.close(reader)
    logger.warn("lost")
    assert writer.flush()
    again, other = os.pipe()
    os.dup2(other, fd)
    logger.warn("found")
    assert writer.close()
    lines = os.read(again, 4000).decode().splitlines()
    assert '"message": "found"' in lines[0]
    assert '"source": "logger", "message": "1 log lines were dropped' in lines[1]
    for each in (fd, again, other):
        os.close(each)
