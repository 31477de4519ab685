"""Bundled plugins, the runner and the SMTP session together: what a client reads."""

from __future__ import annotations

import pytest

from mta.message.header import Header
from mta.plugin import DENY, OK, Plugin
from mta.testing import MailServer
from tests.support.sink import RecordingSink

PLUGINS = ["rcpt_to.in_host_list", "relay", "queue/smtp_forward"]
MESSAGE = b"Subject: hello\r\n\r\n.one dot\r\n"


def serving(sink, *extra, **more):
    """A server with the bundled plugins in front of a sink; nobody is a local domain unless a plugin says so."""
    files = {
        "host_list": "ours.example\n",
        "relay.ini": "[relay]\ndest_domains=true\n",
        "relay_dest_domains.ini": '[domains]\nlisted.example={"action":"accept"}\n',
        "smtp_forward.ini": f"[main]\nhost=127.0.0.1\nport={sink.port}\n",
        **more,
    }
    return MailServer(*PLUGINS, *extra, config=files, domains=())


def send(client, *rcpts):
    """The replies to each recipient, and the one to the message."""
    client.mail("alice@client.example")
    return [*(client.rcpt(rcpt) for rcpt in rcpts), client.data(MESSAGE)]


def codes(replies):
    return [reply.code for reply in replies]


def outgoing(server):
    """The recipients of each mail that is to be relayed."""
    return [mail.recipients for mail in server.queued if mail.outgoing]


@pytest.fixture
def sink():
    with RecordingSink() as sink:
        yield sink


def test_mail_for_us_is_forwarded(sink):
    with serving(sink) as server:
        rcpt, end = send(server.connect(), "bob@ours.example")
        assert (rcpt.code, end.code) == (250, 250) and "Ok: message 1" in end.text
        assert server.queued == []
    (message,) = sink.messages
    assert message.rcpts == ("bob@ours.example",)
    assert message.data.endswith(b"\r\n" + MESSAGE)


def test_mail_for_strangers_is_refused(sink):
    with serving(sink) as server:
        rcpt, data = send(server.connect(), "bob@elsewhere.example")
        assert rcpt.code == 550 and "You are not allowed to relay" in rcpt.text
        assert data.kind == 5
        assert sink.messages == [] and server.queued == []


def test_a_listed_domain_goes_out_and_opens_nothing(sink):
    with serving(sink) as server:
        client = server.connect()
        assert codes(send(client, "bob@listed.example", "victim@elsewhere.example")) == [250, 550, 250]
        assert outgoing(server) == [["bob@listed.example"]]
        assert codes(send(client, "bob@ours.example")) == [250, 250]
        assert outgoing(server) == [["bob@listed.example"]]
    assert [message.rcpts for message in sink.messages] == [("bob@ours.example",)]


def test_our_clients_may_send_anywhere(sink):
    with serving(sink, relay_acl_allow="192.0.2.0/24\n") as server:
        assert codes(send(server.connect(ip="192.0.2.7"), "bob@elsewhere.example")) == [250, 250]
        assert outgoing(server) == [["bob@elsewhere.example"]]


@pytest.mark.parametrize("reply", ["554 5.7.26 not authenticated", "452 4.2.2 mailbox full"])
def test_the_client_reads_what_the_next_server_said(reply):
    with RecordingSink(lambda stage, *_: reply if stage == "dot" else None) as sink, serving(sink) as server:
        assert str(send(server.connect(), "bob@ours.example")[-1]).startswith(reply)


def test_a_broken_filter_defers(sink):
    class Broken(Plugin):
        def hook_data_post(self, connection):
            raise ValueError("no database")

    with serving(sink, Broken) as server:
        assert send(server.connect(), "bob@ours.example")[-1].code == 450
        assert server.logged("no database", "crit")
    assert sink.messages == []


def test_a_plugin_may_pardon(sink):
    class Pardons(Plugin):
        def hook_deny(self, connection, denial):
            return OK if denial.plugin == "relay" else None

        def hook_rcpt(self, connection, rcpt, params):
            return OK

    with serving(sink, Pardons) as server:
        assert send(server.connect(), "bob@elsewhere.example")[0].code == 250


def test_a_plugin_may_change_the_header(sink):
    class Marks(Plugin):
        def hook_data_post(self, connection):
            assert isinstance(connection.transaction.header, Header)
            connection.transaction.add_header("X-Mark", "seen")

    with serving(sink, Marks) as server:
        send(server.connect(), "bob@ours.example")
    assert b"\r\nX-Mark: seen\r\n" in sink.messages[0].data


class Asks(Plugin):
    """A dialogue in the middle of a hook."""

    timeout = 0.3

    def hook_unrecognized_command(self, connection, verb, argument):
        return DENY, f"{verb} {argument}, {connection.ask(334, 'who?')}"


def test_a_plugin_may_hold_a_dialogue(sink):
    with serving(sink, Asks) as server:
        client = server.connect()
        client.ehlo()
        assert str(client.command("HEY you")) == "334 who?"
        assert client.command("it is me").text == "HEY you, it is me"


def test_a_dialogue_that_takes_too_long_leaves_the_session_usable(sink):
    with serving(sink, Asks) as server:
        client = server.connect()
        client.ehlo()
        assert client.command("HEY you").code == 334
        assert client.read().code == 500
        assert client.noop().code == 250
        assert send(client, "bob@ours.example")[-1].code == 250
        assert server.logged("Plugin asks timed out on hook unrecognized_command")
