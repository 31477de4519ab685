"""A plain call of a plugin's method, with made-up objects; and the outbound hooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.plugin import DELAY, DENY, DENYSOFT, OK, Plugin
from mta.testing import MailServer, make_address, make_connection, make_hmail, make_plugin, make_transaction


class Known(Plugin):
    """Accepts the users that its list names."""

    def register(self):
        self.users = self.config.get("known.list", "list")

    def hook_rcpt(self, connection, rcpt, params):
        if connection.relaying:
            return None
        return OK if rcpt.user in self.users else (DENY, f"no {rcpt.user} here")


def test_a_plain_call():
    plugin = make_plugin(Known, {"known.list": "bob\n"})
    connection = make_connection(transaction=make_transaction())
    assert plugin.hook_rcpt(connection, make_address("bob@example.com"), {}) is OK
    assert plugin.hook_rcpt(connection, make_address("eve@example.com"), {}) == (DENY, "no eve here")
    assert plugin.hook_rcpt(make_connection(relaying=True), make_address("eve@example.com"), {}) is None
    assert plugin.name == "known"


def test_a_plugin_object_and_a_bundled_plugin():
    assert make_plugin(Known()).users == []
    assert make_plugin("rcpt_to.in_host_list", {"host_list": "example.org\n"}).name == "rcpt_to.in_host_list"


def test_its_directory_goes_with_the_plugin():
    plugin = make_plugin(Known, {"known.list": "bob\n"})
    directory = Path(plugin.config.directory)
    assert directory.is_dir()
    del plugin
    assert not directory.exists()


def test_a_connection():
    connection = make_connection(
        "2001:db8::7", host="mail.client.example", helo="client", local_port=587, tls=True, notes={"a": 1}
    )
    assert (connection.remote.ip, connection.remote.host) == ("2001:db8::7", "mail.client.example")
    assert (connection.hello.verb, connection.hello.host, connection.esmtp) == ("EHLO", "client", True)
    assert connection.local.port == 587 and connection.tls.enabled and connection.notes.a == 1
    assert make_connection("192.168.1.1").remote.is_private
    assert make_connection(helo="").hello.verb == ""
    assert make_connection(esmtp=False).hello.verb == "HELO"
    assert make_connection(auth_user="alice").relaying and make_connection(auth_user="alice").authenticated


def test_a_transaction():
    message = "Subject: hi\nX-Long: a\n b\n\nfirst\n.dot\n"
    transaction = make_transaction("<>", ["a@x.example", "b@x.example"], message, notes={"n": 2})
    assert transaction.mail_from.is_null
    assert [rcpt.user for rcpt in transaction.rcpt_to] == ["a", "b"]
    assert transaction.header.get("Subject") == "hi"
    assert transaction.message_stream.get_data() == message.replace("\n", "\r\n").encode()
    assert transaction.notes.n == 2 and transaction.notes.skip_plugins == []
    connection = make_connection(transaction=transaction)
    assert connection.transaction is transaction
    assert transaction.uuid == connection.log_uuid == f"{connection.uuid}.1"


def test_a_queued_mail():
    hmail = make_hmail(["a@x.example", "b@x.example"], failures=3, age=100, notes={"n": 2})
    assert (hmail.todo.domain, len(hmail.todo.rcpt_to), hmail.num_failures) == ("x.example", 2, 3)
    assert hmail.header.get("Subject") == "hello"
    assert hmail.todo.notes.n == 2
    assert hmail.data_stream().read().endswith(b"Hello, Bob.\r\n")


class Watches(Plugin):
    """Answers each outbound hook."""

    def __init__(self):
        self.told = []

    def hook_get_mx(self, hmail, domain):
        return (OK, "10.0.0.1:2525") if domain == "routed.example" else None

    def hook_send_email(self, hmail):
        return DELAY, 60

    def hook_delivered(self, hmail, receipt):
        self.told.append(("delivered", receipt.response, receipt.host, len(receipt.recipients)))

    def hook_bounce(self, hmail, failure):
        self.told.append(("bounce", failure.err, failure.category, str(failure.recipients[0])))
        return OK

    def hook_deferred(self, hmail, deferral):
        self.told.append(("deferred", deferral.err, deferral.delay))
        return DENYSOFT, 5


def test_the_outbound_hooks():
    watches = Watches()
    with MailServer(watches) as server:
        hmail = make_hmail(["a@routed.example", "b@routed.example"])
        assert server.get_mx(hmail).message == "10.0.0.1:2525"
        assert server.run("send_email", hmail).message == 60
        server.delivered(hmail, "250 thanks", host="mx.routed.example")
        assert server.bounced(hmail, "550 full", category="quota", recipients=["b@routed.example"]).code is OK
        assert server.deferred(hmail, delay=30).message == 5
    assert watches.told == [
        ("delivered", "250 thanks", "mx.routed.example", 2),
        ("bounce", "550 full", "quota", "<b@routed.example>"),
        ("deferred", "450 4.2.0 try again later", 30),
    ]


@pytest.mark.parametrize("relaying", [True, False])
def test_what_was_noted_at_reception_is_there_at_delivery(relaying):
    class Notes(Plugin):
        def hook_data_post(self, connection):
            connection.transaction.notes.campaign = "spring"

    with MailServer(Notes) as server:
        server.connect(relaying=relaying).send_mail()
        assert [hmail.todo.notes.campaign for hmail in server.hmails] == ["spring"] * relaying
