"""Log lines on standard error that begin with the uuid of the connection: `UUID (hook) plugin: message`."""

from mta.plugin import LoggingConnectionIdSettings, Record, StandardErrorPlugin

NOBODY = "???"


class ConnectionId(StandardErrorPlugin):
    """What belongs to one connection has one uuid, however many mails it brings; what belongs to none has ???."""

    def register(self) -> None:
        self.change(self.config.settings(LoggingConnectionIdSettings, on_change=self.change))

    def change(self, cfg: LoggingConnectionIdSettings) -> None:
        self.follow(cfg.loglevel, cfg.always_ok)

    def mark(self, record: Record) -> str:
        if record.connection is not None:
            return str(record.connection.uuid)
        return record.uuid.split(".")[0] if record.uuid != "-" else NOBODY
