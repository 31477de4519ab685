"""docs/Outbound-API.md is true: its examples run in a real server, its tables name what there is."""

from __future__ import annotations

import inspect
import os
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from mta.paths import DOCS
from mta.plugin.server import MailOptions, Server
from mta.worker import Worker
from tests.support.fake_mx import FakeMx
from tests.support.server import eventually

PAGE = (DOCS / "Outbound-API.md").read_text(encoding="utf-8")

MAKES_MAIL = """
from mta.plugin import Plugin


class MakesMail(Plugin):
    def register(self):
        self.server.notes.at_register = self.server.send_email("", "x@b.test", "too early")

    def hook_init_master(self, server):
        server.notes.at_init = server.send_email("", "init@b.test", "Subject: init\\n\\nhi\\n")

    def hook_mail(self, connection, mail_from, params):
        self.server.send_email("", "mail@b.test", "Subject: mail\\n\\nhi\\n")

    def hook_disconnect(self, connection):
        self.server.send_email("", "disconnect@b.test", "Subject: disconnect\\n\\nhi\\n")

    def hook_delivered(self, hmail, receipt):
        if hmail.todo.rcpt_to[0].user == "mail":
            self.server.send_email("", "delivered@b.test", hmail.data_stream(), origin=hmail)
"""


@pytest.fixture
def worker(tmp_path: Path, mx: FakeMx) -> Iterator[Worker]:
    """A server that relays for this machine, not started yet; plugins are in `plugins/`."""
    for folder in ("config", "plugins"):
        (tmp_path / folder).mkdir()
    config = {
        "smtp.ini": "listen=127.0.0.1:0\n",
        "relay_acl_allow": "127.0.0.0/8\n",
        "outbound.ini": f"[smarthost]\nhost={mx.smarthost}\n",
        "me": "mx.example.test\n",
    }
    for name, text in config.items():
        (tmp_path / "config" / name).write_text(text)
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    made = Worker(tmp_path, fd)
    yield made
    made.stop()
    os.close(fd)


def start(worker: Worker, plugins: dict[str, str]) -> int:
    """Start with the plugin `relay` and these; the port."""
    for name, code in plugins.items():
        (worker.install_dir / "plugins" / f"{name}.py").write_text(code)
    (worker.install_dir / "config" / "plugins").write_text("\n".join(["relay", *plugins]))
    worker.start()
    return worker.addresses[0][1]


def send(port: int, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.sendmail("ann@a.test", ["joe@b.test"], f"Subject: {subject}\r\n\r\n.dot\r\nbody\r\n")


def test_the_examples_work(worker: Worker, mx: FakeMx) -> None:
    codes = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    port = start(worker, {re.search(r"class (\w+)", code)[1].lower(): code for code in codes})
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(port, "Top Secret!")
    assert refused.value.args == (550, b"5.7.1 this must not leave the house")
    send(port, "hello")
    assert eventually(lambda: sorted(mx.rcpts()) == ["ann@a.test", "archive@example.net", "joe@b.test"])
    mails = {mail.rcpts[0]: mail for mail in mx.messages}
    assert mails["ann@a.test"].mail_from == mails["archive@example.net"].mail_from == ""
    assert b"Subject: Your mail has arrived\r\n" in mails["ann@a.test"].data
    copy = mails["archive@example.net"].data
    assert b"\r\nSubject: hello\r\n" in copy and copy.endswith(b"\r\n\r\n..dot\r\nbody\r\n")
    assert len(mx.messages) == 3


def test_mail_can_be_sent_from_anywhere(worker: Worker, mx: FakeMx) -> None:
    port = start(worker, {"makes_mail": MAKES_MAIL})
    notes = worker._server.notes
    assert str(notes.at_register) == "451 4.3.2 this server is not ready to take mail"
    assert notes.at_init.code == 250
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.helo()
        smtp.mail("ann@a.test")
    sending = gevent.spawn(worker._server.send_email, "me@a.test", "greenlet@b.test", "Subject: x\n\nhi\n")
    assert sending.get(timeout=10).code == 250
    wanted = [f"{who}@b.test" for who in ("delivered", "disconnect", "greenlet", "init", "mail")]
    assert eventually(lambda: sorted(mx.rcpts()) == wanted), mx.rcpts()


def test_the_page_names_every_argument() -> None:
    written = re.search(r"^`send_email\((.*)\)`$", PAGE, re.MULTILINE)[1]
    wanted = [name for name in inspect.signature(Server.send_email).parameters if name != "self"]
    assert [part.strip().partition("=")[0] for part in written.split(",") if part.strip() != "*"] == wanted
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"\w+", row)] == wanted
    assert set(MailOptions.__annotations__) == set(wanted[3:])
