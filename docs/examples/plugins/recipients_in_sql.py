"""Accept the recipients that a table knows, and refuse all others."""

from contextlib import closing
from sqlite3 import connect  # that of psycopg, or any other DB-API module, does as well

from mta.plugin import DENY, DSN, OK, Address, Answer, Connection, Params, Plugin


class RecipientsInSql(Plugin):
    def register(self) -> None:
        cfg = self.config.get("recipients_in_sql.ini")["main"]
        self.database, self.query = str(cfg["database"]), str(cfg["query"])

    def hook_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        if self.offload(self.knows, rcpt.address):  # SQLite computes in this process: in a thread, please
            return OK
        return None if connection.relaying else (DENY, DSN.no_such_user())

    def knows(self, address: str) -> bool:
        with closing(connect(self.database)) as db:
            return db.execute(self.query, (address.lower(),)).fetchone() is not None
