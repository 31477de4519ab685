"""Mark mail from outside, and break no signature by it."""

from mta.plugin import Answer, Connection, Plugin


class MarkOutside(Plugin):
    def register(self) -> None:
        self.tag = self.config.get("mark_outside.ini")["main"].get("tag", "[outside]")

    def hook_data_post(self, connection: Connection) -> Answer:
        if connection.relaying or connection.transaction is None:
            return None
        header = connection.transaction.header
        signed = header.signed_fields()
        if "x-outside" not in signed:
            header.remove("X-Outside")  # whoever wrote it, it was not us
            header.add_leading("X-Outside", "yes")  # above the signatures, with the other trace fields
        if "subject" not in signed:
            header.replace("Subject", f"{self.tag} {header.get_decoded('Subject')}")
        return None
