from __future__ import annotations

import socket

import pytest

from mta.message.header import Header
from mta.plugin import DENY, DENYSOFT, DSN, OK, PluginError
from mta.plugin.verdict import CONT
from tests.support.plugins import connection_from, loaded, with_mail
from tests.support.sink import EXTENSIONS, RecordingSink

NAME = "queue/smtp_forward"
BODY = b"one\r\n..two\r\n"


@pytest.fixture
def sink():
    with RecordingSink() as sink:
        yield sink


def forward(tmp_path, ini, **files):
    return loaded(NAME, tmp_path, {"smtp_forward.ini": ini, "me": "relay.example", **files})


def main(*sinks, more=""):
    return f"[main]\nhost=127.0.0.1\nport={sinks[0].port}\n{more}\n"


def message_to(*rcpts, mail_from="alice@client.example", relaying=False):
    connection = with_mail(connection_from(relaying=relaying), mail_from, rcpts)
    stream = connection.transaction.message_stream
    stream.header = Header(b"Subject: hello\r\n")
    stream.separator = True
    stream.append(BODY)
    return connection


def refusing(replies):
    """A script that answers RCPT from a table."""
    return lambda stage, address, attempt: replies.get(address) if stage == "rcpt" else None


def said(verdict):
    message = verdict.message
    if isinstance(message, DSN):
        return verdict.code, message.code, str(message)
    return verdict.code, message


# ---- the message goes through


def test_the_message_arrives_as_it_is(tmp_path, sink):
    runner, _ = forward(tmp_path, main(sink))
    verdict = runner.run("queue", message_to("bob@example.org", "eve@example.net"))
    assert said(verdict) == (OK, "Ok: message 1")
    (message,) = sink.messages
    assert (message.mail_from, message.rcpts) == (
        "alice@client.example",
        ("bob@example.org", "eve@example.net"),
    )
    assert message.wire == b"Subject: hello\r\n\r\n" + BODY
    assert sink.commands[0] == "EHLO relay.example" and sink.commands[-1] == "QUIT"


def test_a_repeated_recipient_is_one(tmp_path, sink):
    runner, _ = forward(tmp_path, main(sink))
    runner.run("queue", message_to("bob@example.org", "bob@example.org"))
    assert sink.messages[0].rcpts == ("bob@example.org",)


def test_a_bounce_keeps_its_null_sender(tmp_path, sink):
    runner, _ = forward(tmp_path, main(sink))
    runner.run("queue", message_to("bob@example.org", mail_from="<>"))
    assert sink.messages[0].mail_from == ""


@pytest.mark.parametrize(("setting", "code", "count"), [("true", OK, 1), ("false", CONT, 0)])
def test_mail_of_relaying_clients(tmp_path, sink, setting, code, count):
    runner, _ = forward(tmp_path, main(sink, more=f"enable_outbound={setting}"))
    verdict = runner.run("queue_outbound", message_to("bob@example.org", relaying=True))
    assert (verdict.code, len(sink.messages)) == (code, count)


def test_mail_that_is_to_be_held_goes_to_our_queue(tmp_path, sink):
    runner, _ = forward(tmp_path, main(sink, more="enable_outbound=true"))
    connection = message_to("bob@example.org", relaying=True)
    connection.transaction.hold_until = 4e9
    assert runner.run("queue_outbound", connection).code is CONT
    assert sink.messages == []


def test_requiretls_is_never_forwarded_in_clear(tmp_path, sink):
    runner, _ = forward(tmp_path, main(sink))
    connection = message_to("bob@example.org")
    connection.transaction.params = {"REQUIRETLS": None}
    assert said(runner.run("queue", connection))[:2] == (DENYSOFT, 451)
    assert sink.messages == []


@pytest.mark.parametrize(("wants", "code"), [("smtp_forward", OK), ("quarantine", CONT)])
def test_another_queue_may_want_the_message(tmp_path, sink, wants, code):
    runner, _ = forward(tmp_path, main(sink))
    connection = message_to("bob@example.org")
    connection.transaction.notes.set("queue.wants", wants)
    assert runner.run("queue", connection).code is code


# ---- the client's reply is the upstream's


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        (
            {"bob@example.org": "550 5.7.26 no such luck"},
            (DENY, 550, "5.7.26 no such luck"),
        ),
        (
            {"bob@example.org": "554 go away"},
            (DENY, 554, "5.0.0 go away"),
        ),
        (
            {"bob@example.org": "452 4.2.2 mailbox full"},
            (DENYSOFT, 452, "4.2.2 mailbox full"),
        ),
    ],
)
def test_a_refused_recipient(tmp_path, script, answer):
    with RecordingSink(refusing(script)) as sink:
        runner, _ = forward(tmp_path, main(sink))
        assert said(runner.run("queue", message_to("bob@example.org"))) == answer
        assert sink.messages == []


@pytest.mark.parametrize(
    ("stage", "reply", "answer"),
    [
        ("mail", "550 5.1.8 bad sender", (DENY, 550, "5.1.8 bad sender")),
        ("mail", "451 4.3.0 not now", (DENYSOFT, 451, "4.3.0 not now")),
        ("dot", "554 5.6.0 spam", (DENY, 554, "5.6.0 spam")),
        ("dot", "452 4.3.1 disk full", (DENYSOFT, 452, "4.3.1 disk full")),
        ("dot", "421 4.3.2 going down", (DENYSOFT, 451, "4.3.2 going down")),
    ],
)
def test_a_refused_message(tmp_path, stage, reply, answer):
    with RecordingSink(lambda at, *_: reply if at == stage else None) as sink:
        runner, _ = forward(tmp_path, main(sink))
        verdict = runner.run("queue", message_to("bob@example.org", "eve@example.org"))
        assert said(verdict) == answer


GONE, FULL, NOBODY = "550 5.1.1 gone", "452 4.2.2 full", "550 5.1.1 nobody"


@pytest.mark.parametrize(
    ("replies", "code", "lines"),
    [
        ({"a@example.org": GONE}, DENY, ["<a@example.org>: gone"]),
        ({"b@example.org": GONE}, DENY, ["<b@example.org>: gone"]),
        ({"a@example.org": FULL}, DENYSOFT, ["<a@example.org>: full"]),
        ({"a@example.org": GONE, "b@example.org": FULL}, DENYSOFT, ["<b@example.org>: full"]),
        ({"a@example.org": GONE, "b@example.org": GONE}, DENY, ["gone"]),
        (
            {"a@example.org": GONE, "b@example.org": NOBODY},
            DENY,
            ["<a@example.org>: gone", "<b@example.org>: nobody"],
        ),
    ],
)
def test_a_refusal_of_some_is_never_an_acceptance_of_all(tmp_path, replies, code, lines):
    with RecordingSink(refusing(replies)) as sink:
        runner, _ = forward(tmp_path, main(sink))
        verdict = runner.run("queue", message_to("a@example.org", "b@example.org"))
        assert verdict.code is code
        assert list(verdict.message.lines) == lines


# ---- the upstream is not there


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_nobody_listens(tmp_path):
    runner, lines = forward(tmp_path, f"[main]\nhost=127.0.0.1\nport={closed_port()}\n")
    connection = message_to("bob@example.org")
    verdict = runner.run("queue", connection)
    assert said(verdict)[:2] == (DENYSOFT, 451)
    errors = [line for line in lines if line.startswith("[ERROR]")]
    assert len(errors) == 1 and connection.uuid in errors[0] and "cannot connect" in errors[0]
    assert not any(line.startswith("[CRIT]") for line in lines)


@pytest.mark.parametrize("banner", ["554 5.7.1 no service for you", "421 too busy"])
def test_a_server_that_does_not_like_us_is_our_trouble_not_the_clients(tmp_path, banner):
    with RecordingSink(lambda at, *_: banner if at == "connect" else None) as sink:
        runner, _ = forward(tmp_path, main(sink))
        assert runner.run("queue", message_to("bob@example.org")).code is DENYSOFT


@pytest.mark.parametrize("stage", ["mail", "rcpt", "dot"])
def test_a_server_that_goes_away(tmp_path, stage):
    def hang_up(at, *_):
        if at == stage:
            raise EOFError
        return

    with RecordingSink(hang_up) as sink:
        runner, lines = forward(tmp_path, main(sink))
        assert runner.run("queue", message_to("bob@example.org")).code is DENYSOFT
        assert not any(line.startswith("[CRIT]") for line in lines)


# ---- domains with a server of their own


def test_each_domain_goes_to_its_server(tmp_path):
    with RecordingSink() as first, RecordingSink() as second:
        ini = main(first) + f"[Special.example]\nhost=127.0.0.1\nport={second.port}\n"
        runner, _ = forward(tmp_path, ini)
        connection = message_to("a@example.org", "b@special.example", "c@example.org")
        assert runner.run("queue", connection).code is OK
        assert [m.rcpts for m in first.messages] == [("a@example.org", "c@example.org")]
        assert [m.rcpts for m in second.messages] == [("b@special.example",)]


def test_one_server_that_fails_is_not_hidden_by_one_that_does_not(tmp_path, sink):
    ini = main(sink) + f"[special.example]\nport={closed_port()}\n"
    runner, _ = forward(tmp_path, ini)
    verdict = runner.run("queue", message_to("a@example.org", "b@special.example"))
    assert verdict.code is DENYSOFT
    assert verdict.message.lines[0].startswith("<b@special.example>: ")


def hops(runner):
    plugin = runner.chains["queue"][0].method.__self__
    return {name: target.hop for name, target in plugin.targets.items()}


def test_sections_lie_over_main_but_passwords_stay_with_their_host(tmp_path):
    ini = (
        "[main]\nhost=one.example\nport=2525\nenable_tls=true\nauth_user=u\nauth_pass=0123\n"
        "[same.example]\nport=2626\n[plain.example]\nenable_tls=false\n"
        "[other.example]\nhost=two.example\n[third.example]\nhost=three.example\nport=587\nauth_user=v\nauth_pass=007\n"
    )
    found = hops(forward(tmp_path, ini)[0])
    assert (found["same.example"].host, found["same.example"].port) == ("one.example", 2626)
    assert found["same.example"].auth_pass == "0123"
    assert [found[name].tls for name in ("main", "other.example", "plain.example")] == [
        "opportunistic",
        "opportunistic",
        "off",
    ]
    other, third = found["other.example"], found["third.example"]
    assert (other.host, other.port, other.auth_user, other.auth_pass) == ("two.example", 25, None, None)
    assert (third.port, third.auth_user, third.auth_pass) == (587, "v", "007")


# ---- logging in, and bad settings


def test_logging_in(tmp_path):
    with RecordingSink(extensions=(*EXTENSIONS, "AUTH PLAIN")) as sink:
        runner, lines = forward(
            tmp_path, main(sink, more="auth_user=u\nauth_pass_file=secret"), secret="#s3cret\n"
        )
        verdict = runner.run("queue", message_to("bob@example.org"))
        assert any(command.startswith("AUTH PLAIN ") for command in sink.commands)
        assert "AUTH PLAIN AHUAI3MzY3JldA==" in sink.commands
        # The sink does not know AUTH, and a login that fails is no reason to bounce somebody's mail.
        assert verdict.code is DENYSOFT
        assert not any("s3cret" in line or "AHUAI3MzY3JldA" in line for line in lines)


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ("[main]\nport=99999\n", "smtp_forward.ini [main]: port must be a whole number from 1 to 65535"),
        ("[x.example]\nhost=h\nport=smtp\n", "smtp_forward.ini [x.example]: port must be"),
        ("[main]\nconnect_timeout=soon\n", "smtp_forward.ini [main]: connect_timeout must be"),
        ("[main]\nauth_user=u\nauth_pass_file=nowhere\n", "there is no password in auth_pass_file nowhere"),
    ],
)
def test_bad_settings_are_one_clear_line(tmp_path, ini, message):
    with pytest.raises(PluginError) as caught:
        forward(tmp_path, ini)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_bad_change_keeps_what_was(tmp_path, sink):
    runner, lines = forward(tmp_path, main(sink))
    plugin = runner.chains["queue"][0].method.__self__
    before = plugin.targets
    plugin.reload({"main": {"host": "h", "port": "x", "connect_timeout": 1, "enable_outbound": True}})
    assert plugin.targets is before and plugin.enable_outbound is False
    assert any("the settings stay as they were" in line for line in lines)


def test_there_is_no_timeout_after_which_mail_would_be_delivered_twice(tmp_path, sink):
    runner, _ = forward(tmp_path, main(sink))
    assert runner.chains["queue"][0].timeout == 0
