"""Refuse messages with attachments of certain types: `.exe` is an end of a name, `application/java-archive` a type."""

from collections.abc import Sequence

from mta.plugin import DENY, DSN, Answer, Connection, Plugin


class BlockAttachments(Plugin):
    def register(self) -> None:
        self.load(self.config.get("block_attachments.list", "list", on_change=self.load))

    def load(self, lines: Sequence[str]) -> None:
        self.blocked = tuple(line.lower() for line in lines)

    def hook_data_post(self, connection: Connection) -> Answer:
        assert connection.transaction is not None  # there is one from MAIL to the end of DATA
        for part in connection.transaction.attachments(nested=True):
            name = part.filename.lower().rstrip(". ")
            if part.content_type in self.blocked or name.endswith(self.blocked):
                return DENY, DSN.media_unsupported(
                    f"attachments such as {name or part.content_type} are refused"
                )
        return None
