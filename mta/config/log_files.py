"""The three files that say what is logged: log.ini, loglevel and log_timestamps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mta.config.config import Config
from mta.config.schema import LOG_TIMESTAMPS, LOGLEVEL, LogSettings


def log_settings(config: Config, on_change: Callable[[LogSettings], None]) -> LogSettings:
    """What the files say together: loglevel and log_timestamps win at the start, later the one edited last.

    `on_change` gets the settings as a whole after each change while the configuration is watched.
    """
    current = LogSettings()

    def change(settings: LogSettings) -> None:
        nonlocal current
        current = settings
        on_change(settings)

    ini = config.settings(LogSettings, lambda settings: change(settings))
    level = config.value(LOGLEVEL, lambda name: change(replace(current, level=name or LogSettings().level)))
    timestamps = config.value(LOG_TIMESTAMPS, lambda value: change(replace(current, timestamps=value)))
    current = replace(ini, level=level or ini.level, timestamps=timestamps or ini.timestamps)
    return current
