"""Write the envelope into the header: X-Envelope-From and X-Envelope-To."""

from __future__ import annotations

from mta.plugin import Answer, Connection, Plugin, RecordEnvelopeAddressesSettings, Transaction

FROM, TO = "X-Envelope-From", "X-Envelope-To"


class RecordEnvelopeAddresses(Plugin):
    """Only recipients that were accepted are written, and no recipient learns of another one unless the operator says so."""

    cfg = RecordEnvelopeAddressesSettings()

    def register(self) -> None:
        self.load(self.config.settings(RecordEnvelopeAddressesSettings, on_change=self.load))
        self.register_hook("data_post", self.record, -100)  # before anybody answers OK

    def load(self, cfg: RecordEnvelopeAddressesSettings) -> None:
        self.cfg = cfg

    def record(self, connection: Connection) -> Answer:
        transaction = connection.transaction
        assert transaction is not None
        # What a sender wrote there would be taken for ours.
        transaction.remove_header(FROM)
        transaction.remove_header(TO)
        if connection.relaying and not self.cfg.outgoing:
            return None
        transaction.add_header(FROM, transaction.mail_from.address)
        if self.names_recipients(transaction):
            for rcpt in transaction.rcpt_to:
                transaction.add_header(TO, rcpt.address)
        return None

    def names_recipients(self, transaction: Transaction) -> bool:
        if self.cfg.recipients == "single":
            return len(transaction.rcpt_to) == 1
        return self.cfg.recipients == "always"
