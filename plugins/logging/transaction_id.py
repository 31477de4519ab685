"""Log lines on standard error that begin with the uuid of the transaction: `UUID.1 (hook) plugin: message`."""

from mta.plugin import LoggingTransactionIdSettings, Record, StandardErrorPlugin

NOBODY = "???"


class TransactionId(StandardErrorPlugin):
    """What belongs to one mail has one uuid, its deliveries as well; what belongs to none has ???."""

    def register(self) -> None:
        self.change(self.config.settings(LoggingTransactionIdSettings, on_change=self.change))

    def change(self, cfg: LoggingTransactionIdSettings) -> None:
        self.follow(cfg.loglevel, cfg.always_ok)

    def mark(self, record: Record) -> str:
        if record.transaction is not None:
            return str(record.transaction.uuid)
        parts = record.uuid.split(".")
        return ".".join(parts[:2]) if len(parts) > 1 else NOBODY
