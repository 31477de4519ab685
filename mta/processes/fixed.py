"""What a master reads once and its workers are given: a change needs a restart, and somebody must say so."""

from __future__ import annotations

from mta.config import Config
from mta.config.schema import QUEUE_DIR, HttpSettings, SmtpSettings
from mta.record import record


@record
class Fixed:
    """The settings as they are when the master starts, by what an operator calls them."""

    values: dict[str, object]

    @classmethod
    def read(cls, config: Config) -> Fixed:
        """What the configuration says now."""
        smtp = config.settings(SmtpSettings)
        keys = ("listen", "nodes", "user", "group", "daemonize", "daemon_log_file", "daemon_pid_file")
        return cls(
            {
                **{f"smtp.ini {key}": getattr(smtp, key) for key in keys},
                "http.ini listen": config.settings(HttpSettings).listen,
                QUEUE_DIR.name: config.value(QUEUE_DIR),
            }
        )

    def changed(self, now: Fixed) -> list[str]:
        """The names of those that differ."""
        return [name for name, value in self.values.items() if now.values[name] != value]
