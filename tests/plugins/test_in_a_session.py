"""Bundled plugins, the runner and the SMTP session together: what a client reads."""

from __future__ import annotations

import pytest

from mta.message.header import Header
from mta.plugin import DENY, OK, Plugin
from mta.smtp.reply import Reply
from tests.support.plugins import logger_and_lines, plugins_of
from tests.support.service import Client, Inbound
from tests.support.sink import RecordingSink

PLUGINS = ["rcpt_to.in_host_list", "relay", "queue/smtp_forward"]
MESSAGE = b"Subject: hello\r\n\r\n..one dot\r\n.\r\n"


def files(sink, **more):
    return {
        "host_list": "ours.example\n",
        "relay.ini": "[relay]\ndest_domains=true\n",
        "relay_dest_domains.ini": '[domains]\nlisted.example={"action":"accept"}\n',
        "smtp_forward.ini": f"[main]\nhost=127.0.0.1\nport={sink.port}\n",
        **more,
    }


class Session:
    """A running inbound side with bundled plugins; `submitted` has the recipients of mail that goes out."""

    def __init__(self, tmp_path, sink, *extra, **more):
        self.submitted = []
        plugins = plugins_of(tmp_path, PLUGINS, files(sink, **more), logger_and_lines()[0])
        self.inbound = Inbound([*plugins, *extra], submit=self.submit)

    def submit(self, transaction):
        self.submitted.append([str(rcpt) for rcpt in transaction.rcpt_to])
        return Reply(250, "Message Queued", "2.0.0")

    def __enter__(self):
        self.inbound.__enter__()
        self.client = Client(self.inbound.port)
        self.client.ask("EHLO client.example")
        return self

    def __exit__(self, *args):
        self.client.close()
        self.inbound.__exit__(*args)

    def send(self, *rcpts):
        self.client.ask("MAIL FROM:<alice@client.example>")
        replies = [self.client.ask(f"RCPT TO:<{rcpt}>") for rcpt in rcpts]
        data = self.client.ask("DATA")
        if not data.startswith("354"):
            return [*replies, data]
        self.client.send(MESSAGE)
        return [*replies, self.client.read()]


@pytest.fixture
def sink():
    with RecordingSink() as sink:
        yield sink


def test_mail_for_us_is_forwarded(tmp_path, sink):
    with Session(tmp_path, sink) as session:
        rcpt, end = session.send("bob@ours.example")
    assert rcpt.startswith("250 ") and end.startswith("250 ") and "Ok: message 1" in end
    (message,) = sink.messages
    assert message.rcpts == ("bob@ours.example",)
    assert message.data.endswith(b"Subject: hello\r\n\r\n.one dot\r\n")
    assert session.submitted == []


def test_mail_for_strangers_is_refused(tmp_path, sink):
    with Session(tmp_path, sink) as session:
        rcpt, data = session.send("bob@elsewhere.example")
    assert rcpt.startswith("550 ") and "You are not allowed to relay" in rcpt
    assert data.startswith("5")
    assert sink.messages == [] and session.submitted == []


def test_a_listed_domain_goes_out_and_opens_nothing(tmp_path, sink):
    with Session(tmp_path, sink) as session:
        listed, stranger, end = session.send("bob@listed.example", "victim@elsewhere.example")
        assert (listed[:3], stranger[:3], end[:3]) == ("250", "550", "250")
        assert session.submitted == [["<bob@listed.example>"]]
        assert [reply[:3] for reply in session.send("bob@ours.example")] == ["250", "250"]
    assert session.submitted == [["<bob@listed.example>"]]
    assert [message.rcpts for message in sink.messages] == [("bob@ours.example",)]


def test_our_clients_may_send_anywhere(tmp_path, sink):
    with Session(tmp_path, sink, relay_acl_allow="127.0.0.0/8\n") as session:
        assert [reply[:3] for reply in session.send("bob@elsewhere.example")] == ["250", "250"]
    assert session.submitted == [["<bob@elsewhere.example>"]]


@pytest.mark.parametrize("reply", ["554 5.7.26 not authenticated", "452 4.2.2 mailbox full"])
def test_the_client_reads_what_the_next_server_said(tmp_path, reply):
    with RecordingSink(lambda stage, *_: reply if stage == "dot" else None) as sink:
        with Session(tmp_path, sink) as session:
            end = session.send("bob@ours.example")[-1]
        assert end.startswith(reply)


def test_a_broken_filter_defers(tmp_path, sink):
    class Broken(Plugin):
        name = "broken"

        def hook_data_post(self, connection):
            raise ValueError("no database")

    with Session(tmp_path, sink, Broken()) as session:
        assert session.send("bob@ours.example")[-1].startswith("450 ")
    assert sink.messages == []
    assert any("[CRIT]" in line and "no database" in line for line in session.inbound.lines)


def test_a_plugin_may_pardon(tmp_path, sink):
    class Pardons(Plugin):
        name = "pardons"

        def hook_deny(self, connection, denial):
            return OK if denial.plugin == "relay" else None

        def hook_rcpt(self, connection, rcpt, params):
            return OK

    with Session(tmp_path, sink, Pardons()) as session:
        assert session.send("bob@elsewhere.example")[0].startswith("250 ")


def test_a_plugin_may_change_the_header(tmp_path, sink):
    class Marks(Plugin):
        name = "marks"

        def hook_data_post(self, connection):
            assert isinstance(connection.transaction.header, Header)
            connection.transaction.add_header("X-Mark", "seen")

    with Session(tmp_path, sink, Marks()) as session:
        session.send("bob@ours.example")
    assert b"\r\nX-Mark: seen\r\n" in sink.messages[0].data


class Asks(Plugin):
    """A dialogue in the middle of a hook."""

    name = "asks"
    timeout = 0.3

    def hook_unrecognized_command(self, connection, verb, argument):
        return DENY, f"{verb} {argument}, {connection.ask(334, 'who?')}"


def test_a_plugin_may_hold_a_dialogue(tmp_path, sink):
    with Session(tmp_path, sink, Asks()) as session:
        assert session.client.ask("HEY you") == "334 who?"
        assert session.client.ask("it is me").endswith("HEY you, it is me")


def test_a_dialogue_that_takes_too_long_leaves_the_session_usable(tmp_path, sink):
    with Session(tmp_path, sink, Asks()) as session:
        assert session.client.ask("HEY you") == "334 who?"
        assert session.client.read().startswith("500 ") and not session.client.ask("NOOP").startswith("334")
        assert session.send("bob@ours.example")[-1].startswith("250 ")
    assert any("Plugin asks timed out on hook unrecognized_command" in line for line in session.inbound.lines)
