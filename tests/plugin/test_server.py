"""The server that plugins know, before it has a queue and with one."""

from __future__ import annotations

from mta.plugin.server import Server
from mta.smtp.address import NULL
from mta.smtp.reply import Reply


class Desk:
    """Takes everything, and says what it was given."""

    def __init__(self) -> None:
        self.taken: list[object] = []

    def send(self, mail_from, rcpts, contents, **options) -> Reply:
        self.taken.append((mail_from, rcpts, contents, options))
        return Reply(250, "kept")

    def submit(self, transaction) -> Reply:
        self.taken.append(transaction)
        return Reply(250, "kept")


def test_without_a_queue_mail_is_put_off() -> None:
    server = Server()
    assert str(server.send_email("", "a@b.test", "x")) == "451 4.3.2 this server is not ready to take mail"
    assert server.send_trans_email(object()).code == 451
    assert server.notes == {} and server.public_ip == ""


def test_mail_goes_to_the_queue_with_what_is_said_about_it() -> None:
    server, desk = Server(), Desk()
    server.on_mail(desk)
    transaction = object()
    assert server.send_email(NULL, ["a@b.test"], "x", notes={"k": 1}, dot_stuffed=True).code == 250
    assert server.send_trans_email(transaction).code == 250
    options = {
        "notes": {"k": 1},
        "remove_msgid": False,
        "remove_date": False,
        "dot_stuffed": True,
        "origin": None,
    }
    assert desk.taken == [(NULL, ["a@b.test"], "x", options), transaction]
