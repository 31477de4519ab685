"""Joins the events of one worker to their file and to log.ini [events]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.config import ConfigError
from mta.config.schema import LogSettings
from mta.event_file import EventFile
from mta.events import Events

if TYPE_CHECKING:
    from pathlib import Path

    from mta.config import Config
    from mta.logger import Logger

ORIGIN = "events"


def open_events(config: Config, directory: Path, events: Events, logger: Logger) -> EventFile:
    """Begin with the events that log.ini wants, and follow it; close the file at the end.

    Call it as the user that the process will stay, for that is who has to open the file again. Raises ConfigError when
    it can not be opened; later that is logged, and all stays as it was.
    """

    def apply(settings: LogSettings) -> None:
        events.headers = settings.events.headers
        file.use(settings.events.file)

    def changed(settings: LogSettings) -> None:
        try:
            apply(settings)
        except OSError as error:
            logger.error(f"log.ini: [events] file: {error}; it stays as it was", origin=ORIGIN)

    file = EventFile(events, directory, lambda why: logger.error(why, origin=ORIGIN))
    try:
        apply(config.settings(LogSettings, changed))
    except OSError as error:
        raise ConfigError(f"log.ini: [events] file: {error}") from error
    return file
