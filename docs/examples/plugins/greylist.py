"""Defer the first delivery of each (client, sender, recipient): a mail server tries again, a bulk mailer rarely does."""

from sqlite3 import connect
from time import time

from mta.plugin import DENYSOFT, Address, Answer, Connection, Plugin


class Greylist(Plugin):
    def register(self) -> None:
        self.cfg = self.config.get("greylist.ini")["main"]
        file = self.config.directory.parent / self.cfg.get("database", "greylist.db")
        self.db = connect(file, isolation_level=None, check_same_thread=False)
        self.db.execute("CREATE TABLE IF NOT EXISTS seen (who TEXT PRIMARY KEY, at REAL)")
        self.db.execute("DELETE FROM seen WHERE at < ?", (time() - 36 * 86400,))

    def hook_rcpt_ok(self, connection: Connection, rcpt: Address) -> Answer:
        if connection.relaying or connection.transaction is None:
            return None
        who = f"{connection.remote.ip} {connection.transaction.mail_from} {rcpt}"
        self.offload(self.db.execute, "INSERT OR IGNORE INTO seen VALUES (?, ?)", (who, time()))
        (first,) = self.db.execute("SELECT at FROM seen WHERE who = ?", (who,)).fetchone()
        return (
            (DENYSOFT, "greylisted, try again later") if time() - first < self.cfg.get("delay", 300) else None
        )
