from __future__ import annotations

import socket

import pytest

from mta.message.header import Header
from mta.notes import Notes
from mta.plugin import DENY, DENYSOFT, DSN, OK, Address, PluginError
from mta.plugin.verdict import CONT
from tests.support.fake_mx import FakeMx
from tests.support.plugins import connection_from, hmail_to, loaded, with_mail
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
    assert [line[:4] for line in sink.commands] == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA"]
    assert sink.commands[0] == "EHLO relay.example"


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
    return {
        name: target.forwarder.hops[0] for name, target in {"main": plugin.main, **plugin.targets}.items()
    }


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
        ("[main]\nidle_timeout=soon\n", "smtp_forward.ini [main]: idle_timeout must be a number of seconds"),
        ("[main]\nbind=here\n", "smtp_forward.ini [main]: bind must be an IP address, not 'here'"),
        (
            "[main]\nforwarding_host_pool=a b:c\n",
            "smtp_forward.ini [main]: forwarding_host_pool: b:c is not a host",
        ),
        (
            "[main]\nauth_user=u\nauth_pass_env=NO_SUCH_VARIABLE\n",
            "no password in the variable NO_SUCH_VARIABLE",
        ),
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
    assert plugin.targets is before and plugin.main.enable_outbound is False
    assert any("the settings stay as they were" in line for line in lines)


def test_there_is_no_timeout_after_which_mail_would_be_delivered_twice(tmp_path, sink):
    runner, _ = forward(tmp_path, main(sink))
    assert runner.chains["queue"][0].timeout == 0


# ---- several servers


def test_a_pool_shares_the_mail_and_one_that_is_not_there_is_asked_last(tmp_path):
    with RecordingSink() as first, RecordingSink() as second:
        pool = f"127.0.0.1:{first.port}, 127.0.0.1:{second.port}, 127.0.0.1:{closed_port()}"
        runner, lines = forward(tmp_path, f"[main]\nforwarding_host_pool={pool}\n")
        for _ in range(30):
            assert runner.run("queue", message_to("bob@example.org")).code is OK
        assert first.messages and second.messages
        assert len(first.messages) + len(second.messages) == 30
    assert sum("is down, asked last for 10 seconds" in line for line in lines) <= 1
    assert sum("[ERROR]" in line for line in lines) <= 1


def test_priorities_in_a_pool_and_how_long_a_dead_host_is_dead(tmp_path, sink):
    pool = f"127.0.0.1:{closed_port()} 1, 127.0.0.1:{sink.port} 2"
    ini = f"[main]\nforwarding_host_pool={pool}\ndead_forwarding_host_retry_secs=77\n"
    runner, lines = forward(tmp_path, ini)
    for _ in range(3):
        assert runner.run("queue", message_to("bob@example.org")).code is OK
    assert [line for line in lines if "is down, asked last for 77 seconds" in line]
    assert sum("[ERROR]" in line for line in lines) == 1


def test_nobody_is_asked_again_who_has_an_answer(tmp_path, sink):
    with FakeMx(extensions=()) as broken:
        broken.reply("rcpt", GONE, rcpt="a@example.org").drop("data")
        pool = f"127.0.0.1:{broken.port} 1, 127.0.0.1:{sink.port} 2"
        runner, _ = forward(tmp_path, f"[main]\nforwarding_host_pool={pool}\n")
        verdict = runner.run("queue", message_to("a@example.org", "b@example.org"))
    assert said(verdict)[:2] == (DENY, 550)
    assert [message.rcpts for message in sink.messages] == [("b@example.org",)]


def test_after_the_dot_no_other_server_is_asked(tmp_path, sink):
    def script(at, *_):
        if at == "dot":
            raise EOFError

    with RecordingSink(script) as broken:
        pool = f"127.0.0.1:{broken.port} 1, 127.0.0.1:{sink.port} 2"
        runner, _ = forward(tmp_path, f"[main]\nforwarding_host_pool={pool}\n")
        assert runner.run("queue", message_to("b@example.org")).code is DENYSOFT
    assert sink.commands == []


# ---- how it is spoken to


def test_one_message_for_each_recipient_over_one_connection(tmp_path, sink):
    runner, _ = forward(tmp_path, main(sink, more="one_message_per_rcpt=true"))
    assert runner.run("queue", message_to("a@example.org", "b@example.org")).code is OK
    assert [message.rcpts for message in sink.messages] == [("a@example.org",), ("b@example.org",)]
    assert sum(command.startswith("EHLO") for command in sink.commands) == 1


def test_lmtp_from_an_address_and_with_a_name_of_its_own(tmp_path):
    with FakeMx(lmtp=True) as mx:
        mx.reply("dot", "250 ok", rcpt="a@example.org").reply("dot", FULL, rcpt="b@example.org")
        ini = (
            f"[main]\nhost=127.0.0.1\nport={mx.port}\nusing_lmtp=true\nbind=127.0.0.9\nbind_helo=nine.test\n"
        )
        runner, _ = forward(tmp_path, ini)
        verdict = runner.run("queue", message_to("a@example.org", "b@example.org"))
    assert (verdict.code, list(verdict.message.lines)) == (DENYSOFT, ["<b@example.org>: full"])
    assert (mx.commands[0], mx.peers, mx.rcpts()) == ("LHLO nine.test", ["127.0.0.9"], ["a@example.org"])


@pytest.mark.parametrize(
    ("written", "mail", "dot"), [("", 300, 600), ("idle_timeout=0", 300, 600), ("idle_timeout=7", 7, 7)]
)
def test_how_long_a_server_may_be_silent(tmp_path, written, mail, dot):
    runner, _ = forward(tmp_path, f"[main]\nhost=m\n{written}\n[a.example]\nhost=h\n")
    plugin = runner.chains["queue"][0].method.__self__
    timeouts = [way.timeouts for way in plugin.forwarders]
    assert [(each.mail, each.dot, each.quit) for each in timeouts] == [(mail, dot, 5)] * 2


# ---- sections


def mx_hop(runner, domain, sender="alice@client.example", **notes):
    hmail = hmail_to(domain)
    hmail.todo.notes = Notes()
    hmail.todo.mail_from = Address.parse(sender)
    for path, value in notes.items():
        hmail.todo.notes.set(path.replace("_", ".", 1), value)
    verdict = runner.run("get_mx", hmail, domain)
    return [(hop.host, hop.port, hop.using_lmtp) for hop in verdict.message] if verdict.code is OK else None


def test_mail_in_the_queue_goes_to_the_server_of_its_section(tmp_path):
    ini = "[main]\nhost=m\n[a.example]\nhost=h\n[b.example]\nhost=l\nusing_lmtp=true\n"
    runner, _ = forward(tmp_path, ini)
    assert mx_hop(runner, "a.example") == [("h", 25, False)]
    assert mx_hop(runner, "b.example", queue_wants="outbound") == [("l", 24, True)]
    assert mx_hop(runner, "c.example") is None
    assert mx_hop(runner, "a.example", queue_wants="quarantine") is None
    assert mx_hop(runner, "a.example", queue_next_hop="smtp://x") is None


def test_the_sender_may_choose_the_section(tmp_path):
    with RecordingSink() as first, RecordingSink() as second, RecordingSink() as third:
        ini = main(first, more="domain_selector=mail_from") + (
            f"[corp.example]\nport={second.port}\n[Boss@corp.example]\nport={third.port}\n"
        )
        runner, _ = forward(tmp_path, ini)
        for sender in ("<>", "joe@other.example", "joe@corp.example", "boss@corp.example"):
            assert runner.run("queue", message_to("a@corp.example", mail_from=sender)).code is OK
        assert [len(sink.messages) for sink in (first, second, third)] == [2, 1, 1]
        assert mx_hop(runner, "b.example", sender="boss@corp.example") == [("127.0.0.1", third.port, False)]


@pytest.mark.parametrize(("section", "code"), [("[a.example]\nenable_outbound=false\n", CONT), ("", OK)])
def test_a_section_may_leave_outgoing_mail_to_the_queue(tmp_path, sink, section, code):
    runner, _ = forward(tmp_path, main(sink, more="enable_outbound=true") + section)
    assert runner.run("queue_outbound", message_to("bob@a.example", relaying=True)).code is code


# ---- who may send, and to whom


@pytest.mark.parametrize(
    ("sender", "relaying", "code"),
    [
        ("joe@a.example", False, DENY),
        ("joe@a.example", True, CONT),
        ("joe@b.example", False, CONT),
        ("joe@main", False, CONT),
        ("<>", False, CONT),
    ],
)
def test_check_sender(tmp_path, sender, relaying, code):
    runner, _ = forward(tmp_path, "[main]\ncheck_sender=true\n[a.example]\nhost=h\n")
    connection = message_to(mail_from=sender, relaying=relaying)
    verdict = runner.run("mail", connection, connection.transaction.mail_from, {})
    assert verdict.code is code
    assert verdict.message == ("Spoofed MAIL FROM" if code is DENY else None)


def rcpt(runner, connection, address):
    parsed = Address.parse(address)
    verdict = runner.run("rcpt", connection, parsed, {})
    if verdict.code is OK:
        connection.transaction.rcpt_to.append(parsed)
    return verdict


CHECKING = (
    "[main]\nhost=m\ncheck_sender=true\ncheck_recipient=true\n[a.example]\n[also.example]\n"
    "[b.example]\nhost=b\n[c.example]\nqueue=outbound\n"
)


def test_check_recipient_keeps_servers_and_queues_apart(tmp_path):
    runner, _ = forward(tmp_path, CHECKING)
    connection = message_to()
    answers = [
        rcpt(runner, connection, f"joe@{name}.example").code for name in ("x", "a", "also", "b", "c", "main")
    ]
    assert answers == [CONT, OK, OK, DENYSOFT, DENYSOFT, CONT]
    assert rcpt(runner, connection, "joe@b.example").message == "Split transaction, retry soon"
    assert connection.transaction.notes.get("queue.wants") == "smtp_forward"


def test_a_section_may_want_its_mail_queued_here(tmp_path):
    runner, _ = forward(tmp_path, CHECKING)
    connection = message_to()
    assert rcpt(runner, connection, "joe@c.example").code is OK
    assert not connection.relaying
    runner.run("data", connection)
    assert connection.relaying and connection.transaction.notes.get("queue.wants") == "outbound"
    other = message_to()
    rcpt(runner, other, "joe@a.example")
    runner.run("data", other)
    assert not other.relaying


def test_our_own_senders_may_send_anywhere(tmp_path):
    runner, _ = forward(tmp_path, CHECKING)
    connection = message_to(mail_from="joe@a.example", relaying=True)
    runner.run("mail", connection, connection.transaction.mail_from, {})
    assert rcpt(runner, connection, "ann@far.example").code is OK
    assert connection.transaction.notes.get("queue.wants") == "outbound"


def test_nothing_is_checked_unless_asked_for(tmp_path):
    runner, _ = forward(tmp_path, "[main]\nhost=m\n[a.example]\n")
    assert not runner.has("mail") and not runner.has("rcpt") and not runner.has("data")
