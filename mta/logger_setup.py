"""Joins the logger to a descriptor and to the configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mta.config.schema import LOG_TIMESTAMPS, LOGLEVEL, LogSettings
from mta.log_writer import LogWriter
from mta.logger import LEVELS, WARN, Logger, Record, Relabel

if TYPE_CHECKING:
    from mta.config import Config

ORIGIN = "logger"


def open_logger(fd: int = 1, *, shared: bool = False) -> tuple[Logger, LogWriter]:
    """A logger that writes to `fd` and holds its records back until plugins are ready; close the writer at the end.

    shared: other processes write there as well.
    """

    def dropped_line(count: int) -> str:
        text = f"{count} log lines were dropped: whoever reads the log is too slow or gone"
        return logger.render(Record(WARN, text, None, ORIGIN, "-"))

    writer = LogWriter(fd, dropped_line=dropped_line, shared=shared)
    logger = Logger(colours=os.isatty(fd), write=writer.write, hold=True)
    return logger, writer


def configure_from(logger: Logger, config: Config) -> None:
    """Apply log.ini, loglevel and log_timestamps, and follow them: at start the two files win, later the last edit.

    log_timestamps can only turn timestamps on.
    """
    _Follower(logger, config).start()


def relabel_of(text: str) -> Relabel:
    """What `+1`, `-2` or a level in [relabel] of log.ini means."""
    return Relabel(fixed=LEVELS[text]) if text in LEVELS else Relabel(shift=int(text))


class _Follower:
    """Holds what log.ini says, to go back to when one of the two files goes away."""

    __slots__ = ("_config", "_ini", "_logger")

    def __init__(self, logger: Logger, config: Config) -> None:
        self._logger = logger
        self._config = config
        self._ini = LogSettings()

    def start(self) -> None:
        self._on_ini(self._config.settings(LogSettings, self._on_ini))
        self._on_level(self._config.value(LOGLEVEL, self._on_level))
        self._on_timestamps(self._config.value(LOG_TIMESTAMPS, self._on_timestamps))

    def _on_ini(self, ini: LogSettings) -> None:
        self._ini = ini
        self._logger.configure(level=LEVELS[ini.level], format=ini.format, timestamps=ini.timestamps)
        self._logger.rule(
            {name: LEVELS[level] for name, level in ini.plugins.items()},
            {name: LEVELS[level] for name, level in ini.hooks.items()},
            {name: relabel_of(text) for name, text in ini.relabel.items()},
        )

    def _on_level(self, name: str) -> None:
        self._logger.configure(level=LEVELS[name or self._ini.level])

    def _on_timestamps(self, flag: bool) -> None:
        self._logger.configure(timestamps=flag or self._ini.timestamps)
