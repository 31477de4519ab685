"""queue/smtp_forward: connections to the next server that are kept for the next message."""

from __future__ import annotations

import time

import gevent
import pytest

from mta.plugin import DENYSOFT, OK, PluginError
from tests.plugins.test_smtp_forward import forward, main, message_to, said
from tests.support.fake_mx import FakeMx
from tests.support.server import eventually

OFF = ["keep_connections=false", "connection_per_site_idle=0"]


def send(runner, *rcpts):
    return runner.run("queue", message_to(*(rcpts or ("bob@example.org",))))


def plugin_of(runner):
    return runner.chains["queue"][0].method.__self__


def quits(mx, count):
    """True when so many sessions end with QUIT, and no more than that."""
    return eventually(lambda: mx.quits >= count) and mx.quits == count


# ---- one connection, many messages


def test_a_connection_carries_one_message_after_the_other(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx))
    assert [send(runner).code for _ in range(5)] == [OK] * 5
    assert (mx.sessions, len(mx.messages), mx.count("EHLO"), mx.quits) == (1, 5, 1, 0)


@pytest.mark.parametrize("setting", OFF)
def test_without_it_each_message_has_a_connection_of_its_own(tmp_path, mx, setting):
    runner, _ = forward(tmp_path, main(mx, more=setting))
    assert [send(runner).code for _ in range(3)] == [OK] * 3
    assert mx.sessions == 3
    assert quits(mx, 3)


@pytest.mark.parametrize("setting", [*OFF, "connection_messages=1"])
def test_the_client_does_not_wait_for_the_good_bye(tmp_path, mx, setting):
    runner, _ = forward(tmp_path, main(mx, more=setting))
    assert send(runner).code is OK
    assert mx.quits == 0  # the client has its answer by now
    assert quits(mx, 1)


def test_a_refusal_costs_no_connection(tmp_path, mx):
    mx.reply("rcpt", "550 5.1.1 gone", "250 ok")
    runner, _ = forward(tmp_path, main(mx))
    assert said(send(runner))[1] == 550
    assert send(runner).code is OK
    assert (mx.sessions, mx.count("RSET")) == (1, 1)


def test_messages_at_the_same_time_have_connections_of_their_own(tmp_path, mx):
    mx.slow("dot", 0.2)
    runner, _ = forward(tmp_path, main(mx, more="connection_per_site_idle=2"))
    sending = [gevent.spawn(send, runner) for _ in range(5)]
    gevent.joinall(sending)
    assert [each.value.code for each in sending] == [OK] * 5
    assert (mx.sessions, sorted(message.session for message in mx.messages)) == (5, [1, 2, 3, 4, 5])
    assert quits(mx, 3)
    send(runner)
    assert mx.sessions == 5


def test_after_so_many_messages_a_connection_is_ended(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx, more="connection_messages=2"))
    assert [send(runner).code for _ in range(5)] == [OK] * 5
    assert [message.session for message in mx.messages] == [1, 1, 2, 2, 3]
    assert quits(mx, 2)


def test_an_unused_connection_is_ended_in_time(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx, more="connection_idle=1"))
    send(runner)
    assert quits(mx, 1)
    assert send(runner).code is OK
    assert mx.sessions == 2


def test_an_old_connection_is_not_used_again(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx, more="connection_lifetime=1"))
    send(runner)
    time.sleep(1.1)
    assert send(runner).code is OK
    assert mx.sessions == 2


@pytest.mark.parametrize("setting", ["", "keep_connections=false\n"])
def test_copies_for_each_recipient_share_connections_within_the_limit(tmp_path, mx, setting):
    more = f"one_message_per_rcpt=true\nconnection_messages=2\n{setting}"
    runner, _ = forward(tmp_path, main(mx, more=more))
    assert send(runner, *(f"{name}@example.org" for name in "abcde")).code is OK
    assert [message.session for message in mx.messages] == [1, 1, 2, 2, 3]


# ---- connections that turn out to be dead


def test_a_server_that_ends_idle_connections_is_not_noticed(tmp_path, mx):
    runner, lines = forward(tmp_path, main(mx))
    for number in range(1, 4):
        assert send(runner).code is OK
        assert (mx.sessions, len(mx.messages)) == (number, number)
        mx.hang_up()
        gevent.sleep(0.05)
    assert not any("[ERROR]" in line for line in lines)


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data"])
def test_a_kept_connection_that_breaks_before_the_dot_is_replaced(tmp_path, mx, phase):
    runner, lines = forward(tmp_path, main(mx))
    assert send(runner).code is OK
    mx.drop(phase)
    assert send(runner).code is OK
    assert [message.session for message in mx.messages] == [1, 2]
    assert not any("[ERROR]" in line for line in lines)


def test_so_is_one_that_breaks_within_a_message_whose_dot_is_still_to_come(tmp_path, mx):
    runner, lines = forward(tmp_path, main(mx))
    send(runner)
    mx.drop("body")
    connection = message_to("bob@example.org")
    connection.transaction.message_stream.append((b"x" * 70 + b"\r\n") * 100_000)
    assert runner.run("queue", connection).code is OK
    assert [message.session for message in mx.messages] == [1, 2]
    assert not any("[ERROR]" in line for line in lines)


def test_it_is_replaced_once_only(tmp_path, mx):
    runner, lines = forward(tmp_path, main(mx))
    send(runner)
    mx.drop("mail", times=9)
    assert said(send(runner))[:2] == (DENYSOFT, 451)
    assert (mx.sessions, len(mx.messages)) == (2, 1)
    assert sum("[ERROR]" in line for line in lines) == 1


def test_a_new_connection_that_breaks_is_not_replaced(tmp_path, mx):
    mx.drop("mail")
    runner, _ = forward(tmp_path, main(mx))
    assert send(runner).code is DENYSOFT
    assert mx.sessions == 1


def test_after_the_dot_nothing_is_sent_again(tmp_path, mx):
    runner, lines = forward(tmp_path, main(mx))
    send(runner)
    mx.drop("dot")
    assert said(send(runner))[:2] == (DENYSOFT, 451)
    assert (mx.sessions, mx.count("DATA")) == (1, 2)
    assert any("[ERROR]" in line and "phase dot" in line for line in lines)
    assert send(runner).code is OK  # the client comes again
    assert (mx.sessions, len(mx.messages)) == (2, 2)


def test_a_kept_connection_to_a_server_that_was_stopped(tmp_path, mx):
    runner, lines = forward(tmp_path, main(mx))
    send(runner)
    mx.close()
    gevent.sleep(0.05)
    assert said(send(runner))[:2] == (DENYSOFT, 451)
    assert any("cannot connect" in line for line in lines)


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
def test_421_on_a_kept_connection_is_not_the_clients_trouble(tmp_path, mx, phase):
    runner, _ = forward(tmp_path, main(mx))
    send(runner)
    mx.reply(phase, "421 4.3.2 going down", "354 go" if phase == "data" else "250 ok")
    assert send(runner).code is OK
    assert [message.session for message in mx.messages] == [1, 2]


def test_421_is_the_answer_of_a_server_that_says_it_again(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx))
    send(runner)
    mx.reply("mail", "421 4.3.2 going down")
    assert said(send(runner)) == (DENYSOFT, 451, "4.3.2 going down")
    assert mx.sessions == 2


def test_of_two_recipients_only_the_one_without_an_answer_is_sent_again(tmp_path):
    with FakeMx(lmtp=True) as mx:
        runner, _ = forward(tmp_path, main(mx, more="using_lmtp=true"))
        send(runner)
        mx.reply("dot", "250 ok", rcpt="a@example.org").reply(
            "dot", "421 bye", "250 ok", rcpt="b@example.org"
        )
        assert send(runner, "a@example.org", "b@example.org").code is OK
        assert mx.rcpts() == ["bob@example.org", "a@example.org", "b@example.org"]


# ---- whose connection it is


def test_requiretls_never_uses_a_connection_in_clear(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx))
    send(runner)
    connection = message_to("bob@example.org")
    connection.transaction.params = {"REQUIRETLS": None}
    assert said(runner.run("queue", connection))[:2] == (DENYSOFT, 451)
    assert (mx.sessions, len(mx.messages)) == (2, 1)
    assert send(runner).code is OK
    assert mx.sessions == 2


@pytest.mark.parametrize(
    ("section", "sessions"),
    [
        ("queue=outbound", 1),
        ("enable_outbound=true", 1),
        ("bind=127.0.0.9", 2),
        ("bind_helo=nine.test", 2),
        ("enable_tls=true", 2),
        ("idle_timeout=9", 2),
        ("connection_messages=9", 2),
    ],
)
def test_sections_share_connections_that_are_made_alike(tmp_path, mx, section, sessions):
    runner, _ = forward(tmp_path, main(mx) + f"[a.example]\n{section}\n")
    for _ in range(2):
        assert send(runner, "a@a.example", "b@b.example").code is OK
    assert (mx.sessions, len(mx.messages)) == (sessions, 4)


def test_a_section_has_settings_of_its_own(tmp_path, mx):
    with FakeMx() as other:
        section = f"[a.example]\nhost=127.0.0.1\nport={other.port}\nkeep_connections=false\n"
        runner, _ = forward(tmp_path, main(mx) + section)
        for _ in range(3):
            assert send(runner, "a@a.example", "b@b.example").code is OK
        assert (mx.sessions, other.sessions) == (1, 3)


def test_a_server_of_its_own_has_the_settings_of_main(tmp_path, mx):
    with FakeMx() as other:
        ini = main(mx, more="connection_messages=1") + f"[a.example]\nhost=127.0.0.1\nport={other.port}\n"
        runner, _ = forward(tmp_path, ini)
        for _ in range(2):
            send(runner, "a@a.example")
        assert other.sessions == 2


def test_each_server_of_a_pool_has_its_connection(tmp_path, mx):
    with FakeMx() as other:
        pool = f"127.0.0.1:{mx.port}, 127.0.0.1:{other.port}"
        runner, _ = forward(tmp_path, f"[main]\nforwarding_host_pool={pool}\nconnection_per_site_idle=1\n")
        assert [send(runner).code for _ in range(30)] == [OK] * 30
        assert (mx.sessions, other.sessions) == (1, 1)


# ---- other settings, and the end


def reload(runner, tmp_path, ini):
    """Let the plugin see another file, as the server does when it has changed."""
    (tmp_path / "config" / "smtp_forward.ini").write_text(ini)
    config = plugin_of(runner).config
    config.watch()
    config.catch_up()
    config.close()


def test_other_settings_end_the_connections_that_they_do_not_fit(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx))
    send(runner)
    reload(runner, tmp_path, main(mx, more="connection_idle=20"))
    assert mx.quits == 1
    send(runner)
    assert (mx.sessions, mx.quits) == (2, 1)


def test_another_server_ends_the_connections_to_the_one_before(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx))
    send(runner)
    with FakeMx() as other:
        reload(runner, tmp_path, main(other))
        assert mx.quits == 1
        assert send(runner).code is OK
        assert (mx.sessions, other.sessions) == (1, 1)


def test_connections_stay_when_only_other_things_change(tmp_path, mx):
    runner, _ = forward(tmp_path, main(mx))
    send(runner)
    reload(runner, tmp_path, main(mx, more="enable_outbound=true") + "[a.example]\nport=1\n")
    assert plugin_of(runner).main.enable_outbound
    assert send(runner).code is OK
    assert (mx.sessions, mx.quits) == (1, 0)


def test_a_message_that_is_under_way_when_the_settings_change_arrives(tmp_path, mx):
    mx.slow("dot", 0.3)
    runner, _ = forward(tmp_path, main(mx))
    sending = gevent.spawn(send, runner)
    assert eventually(lambda: mx.count("DATA"))
    reload(runner, tmp_path, main(mx, more="connection_idle=20"))
    assert sending.get().code is OK
    assert quits(mx, 1)


def test_the_end_of_the_server_says_good_bye_to_all(tmp_path, mx):
    with FakeMx() as other:
        section = f"[a.example]\nhost=127.0.0.1\nport={other.port}\n"
        runner, _ = forward(tmp_path, main(mx) + section)
        send(runner, "a@a.example", "b@b.example")
        runner.shutdown()
        assert (mx.quits, other.quits) == (1, 1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("connection_messages=0", "connection_messages must be a whole number from 1 up, not 0"),
        ("connection_idle=soon", "connection_idle must be a whole number from 1 up, not 'soon'"),
        ("connection_lifetime=1.5", "connection_lifetime must be a whole number from 1 up, not 1.5"),
        ("connection_per_site_idle=-1", "connection_per_site_idle must be a whole number from 0 up, not -1"),
    ],
)
def test_bad_settings_are_one_clear_line(tmp_path, setting, message):
    with pytest.raises(PluginError) as caught:
        forward(tmp_path, f"[main]\nhost=h\n[a.example]\n{setting}\n")
    assert f"smtp_forward.ini [a.example]: {message}" in str(caught.value)
