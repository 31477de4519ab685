import sqlite3
from pathlib import Path

import pytest

from mta.testing import MailServer, StartServer


@pytest.fixture
def server(mail_server: StartServer, tmp_path: Path) -> MailServer:
    """A server over a database with one mailbox."""
    with sqlite3.connect(tmp_path / "mail.db") as db:
        db.execute("CREATE TABLE mailbox (address TEXT)")
        db.execute("INSERT INTO mailbox VALUES ('bob@example.com')")
    query = "SELECT 1 FROM mailbox WHERE address = ?"
    ini = f"database={tmp_path}/mail.db\nquery={query}\n"
    return mail_server("recipients_in_sql", config={"recipients_in_sql.ini": ini})


@pytest.mark.parametrize(
    ("rcpt", "code"),
    [("bob@example.com", 250), ("Bob@Example.com", 250), ("eve@example.com", 550), ("bob@else.example", 550)],
)
def test_recipients(server: MailServer, rcpt: str, code: int) -> None:
    assert server.connect().send_mail(rcpt_to=rcpt).code == code


def test_who_may_relay_may_send_elsewhere(server: MailServer) -> None:
    assert server.connect(relaying=True).send_mail(rcpt_to="bob@else.example").code == 250


def test_mail_waits_for_a_database_that_does_not_work(server: MailServer, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mail.db") as db:
        db.execute("DROP TABLE mailbox")
    assert server.connect().send_mail().code == 450
    assert server.logged("no such table", "crit")
