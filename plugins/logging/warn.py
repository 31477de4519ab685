"""Log lines on standard error: `PID (hook) plugin: message`."""

from mta.plugin import LoggingWarnSettings, StandardErrorPlugin


class Warn(StandardErrorPlugin):
    """Records up to `loglevel`, WARN unless told otherwise."""

    def register(self) -> None:
        self.change(self.config.settings(LoggingWarnSettings, on_change=self.change))

    def change(self, cfg: LoggingWarnSettings) -> None:
        self.follow(cfg.loglevel, cfg.always_ok)
