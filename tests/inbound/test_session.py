"""Sessions over real sockets: what plugins decide, what limits do, what is logged."""

import gc
import smtplib
import time

import gevent
import pytest

from mta.connection import Connection
from mta.inbound.session import Session
from mta.logger import NOTICE
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import (
    CONT,
    DENY,
    DENYDISCONNECT,
    DENYSOFT,
    DENYSOFTDISCONNECT,
    NEXT_HOOK,
    OK,
)
from mta.smtp.reply import Reply
from mta.transaction import Transaction
from tests.support.service import Client, Denier, Inbound, Local


class Relay(Plugin):
    """Lets everybody relay."""

    name = "relay_everybody"

    def hook_connect(self, connection):
        connection.relaying = True


def line_of(inbound: Inbound, word: str) -> str:
    """The log line that contains the word; waits a moment for it."""
    for _ in range(100):
        found = [line for line in inbound.lines if word in line]
        if found:
            return found[-1]
        gevent.sleep(0.01)
    raise AssertionError(f"no {word!r} among {inbound.lines}")


def ehlo_mail(client: Client) -> None:
    client.ask("EHLO client.test")
    assert client.ask("MAIL FROM:<a@example.org>").startswith("250")


def test_smtplib_can_send() -> None:
    local = Local()
    with Inbound([local]) as inbound, smtplib.SMTP("127.0.0.1", inbound.port) as smtp:
        smtp.sendmail("a@example.org", ["b@example.com"], "Subject: hi\r\n\r\n.dot\r\nbody\r\n")
    sender, rcpts, stored = local.mails[0]
    assert (sender, rcpts) == ("<a@example.org>", ["<b@example.com>"])
    assert stored.endswith(b"Subject: hi\r\n\r\n..dot\r\nbody\r\n")


@pytest.mark.parametrize("connect_answer", [DENY, DENYSOFT])
def test_a_client_refused_at_connect_hears_it_until_quit(connect_answer) -> None:
    with Inbound([Denier("connect", (connect_answer, "go away"))]) as inbound:
        client = inbound.client()
        assert client.banner.endswith("go away")
        assert client.ask("EHLO a") == client.banner
        assert client.ask("MAIL FROM:<a@b.c>") == client.banner
        assert client.ask("quit").startswith("221 ")
        assert client.read() == ""


@pytest.mark.parametrize(
    ("hook", "answer", "reply"),
    [
        ("connect", DENYDISCONNECT, "554 5.7.1 Your mail is not welcome here"),
        ("lookup_rdns", DENYSOFTDISCONNECT, "421 4.7.25 rDNS Temporary Failure"),
    ],
)
def test_a_client_is_hung_up_on_at_connect(hook, answer, reply) -> None:
    with Inbound([Denier(hook, answer)]) as inbound:
        client = inbound.client()
        assert client.banner == reply
        assert client.read() == ""


def test_a_plugin_s_banner_and_name() -> None:
    with Inbound(
        [Denier("connect", (CONT, "mx ESMTP hello")), Denier("lookup_rdns", (OK, "ptr.test"))]
    ) as inbound:
        client = inbound.client()
        assert client.banner == "220 mx ESMTP hello"
        assert (
            client.ask("HELO x")
            == "250 mx.example.test Hello ptr.test [127.0.0.1], Haraka is at your service."
        )


def test_greeting_and_closing_words_come_from_the_settings() -> None:
    settings = {"greeting": ("one", "two"), "banner_chars": 0, "helo": "hi", "close": "bye"}
    with Inbound(**settings) as inbound:
        client = inbound.client()
        assert client.banner == "220-mx.example.test ESMTP one\n220 two"
        assert client.ask("HELO x").endswith("[127.0.0.1], hi")
        assert client.ask("QUIT") == "221 2.0.0 mx.example.test bye"


def test_the_version_can_be_hidden() -> None:
    local = Local()
    with Inbound([local], show_version=False) as inbound:
        client = inbound.client()
        assert "ESMTP Haraka ready" in client.banner
        client.envelope()
        client.ask(".")
    assert b"(Haraka) with ESMTP" in local.mails[0][2]


@pytest.mark.parametrize("verb", ["helo", "ehlo"])
def test_a_refused_hello_is_no_hello(verb) -> None:
    with Inbound([Denier(verb, DENY)]) as inbound:
        client = inbound.client()
        assert client.ask(f"{verb} x") == f"550 5.7.1 {verb.upper()} denied"
        assert client.ask("MAIL FROM:<a@b.c>").startswith("503 ")


def test_a_refused_sender_opens_no_transaction() -> None:
    with Inbound([Denier("mail", (DENYSOFT, "not now"))]) as inbound:
        client = inbound.client()
        client.ask("EHLO x")
        assert client.ask("MAIL FROM:<a@example.org>") == "450 4.7.1 not now"
        assert client.ask("RCPT TO:<b@example.com>").startswith("503 ")


@pytest.mark.parametrize("hook", ["rcpt", "rcpt_ok"])
def test_a_refused_recipient_leaves_the_envelope(hook) -> None:
    local = Local()

    class Picky(Plugin):
        name = "picky"

        def hook_rcpt(self, connection, rcpt, params):
            return DENY if hook == "rcpt" and rcpt.user == "no" else None

        def hook_rcpt_ok(self, connection, rcpt):
            return DENY if hook == "rcpt_ok" and rcpt.user == "no" else None

    with Inbound([Picky(), local]) as inbound:
        client = inbound.client()
        ehlo_mail(client)
        assert client.ask("RCPT TO:<no@example.com>") == "550 5.7.1 recipient <no@example.com> denied"
        assert client.ask("RCPT TO:<yes@example.com>").startswith("250 ")
        client.ask("DATA")
        client.ask(".")
    assert local.mails[0][1] == ["<yes@example.com>"]


def test_a_plugin_sees_the_recipient_in_the_envelope() -> None:
    seen = []

    class Watch(Plugin):
        name = "watch"

        def hook_rcpt(self, connection, rcpt, params):
            seen.append([str(rcpt) for rcpt in connection.transaction.rcpt_to])

    with Inbound([Watch(), Local()]) as inbound:
        client = inbound.client()
        ehlo_mail(client)
        client.ask("RCPT TO:<b@example.com>")
    assert seen == [["<b@example.com>"]]


@pytest.mark.parametrize(
    ("hook", "answer", "reply"),
    [
        ("data_post", (DENY, "spam"), "550 5.7.1 spam"),
        ("data_post", DENYSOFT, "450 4.7.1 Message denied temporarily"),
        ("queue", DENYSOFT, "450 4.7.1 Message denied temporarily"),
    ],
)
def test_what_is_refused_after_the_dot(hook, answer, reply) -> None:
    local = Local()
    with Inbound([Denier(hook, answer), local]) as inbound:
        client = inbound.client()
        client.envelope()
        assert client.ask("Subject: x\r\n\r\nbody\r\n.") == reply
        assert client.ask("MAIL FROM:<a@example.org>").startswith("250 ")
    assert local.mails == []


def test_a_refused_data_command_ends_the_transaction() -> None:
    with Inbound([Denier("data", (DENY, "no")), Local()]) as inbound:
        client = inbound.client()
        assert client.envelope() == "554 5.7.1 no"
        assert client.ask("RCPT TO:<b@example.com>").startswith("503 ")


def test_without_a_queue_plugin_the_mail_is_put_off() -> None:
    with Inbound([Denier("rcpt", OK)]) as inbound:
        client = inbound.client()
        client.envelope()
        assert client.ask(".") == "451 4.3.5 no queue took the message"


@pytest.mark.parametrize(
    "reply", [Reply(250, "Message Queued (x)", "2.0.0"), Reply(451, "disk full", "4.3.0")]
)
def test_mail_of_who_may_relay_is_submitted(reply) -> None:
    submitted = []

    def submit(transaction):
        submitted.append([str(rcpt) for rcpt in transaction.rcpt_to])
        return reply

    with Inbound([Relay()], submit=submit) as inbound:
        client = inbound.client()
        client.envelope("<a@example.org>", "<x@far.test>", "<y@away.test>")
        assert client.ask(".") == str(reply)
    assert submitted == [["<x@far.test>", "<y@away.test>"]]


def test_a_queue_outbound_plugin_comes_before_the_spool() -> None:
    submitted = []
    plugins = [Relay(), Denier("queue_outbound", (OK, "taken"))]
    with Inbound(plugins, submit=submitted.append) as inbound:
        client = inbound.client()
        client.envelope("<a@example.org>", "<x@far.test>")
        assert client.ask(".").startswith("250 2.0.0 taken (")
    assert submitted == []


def test_the_size_limit_is_on_the_message_without_stuffed_dots() -> None:
    local = Local()
    with Inbound([local], max_bytes=100, add_received=False) as inbound:
        client = inbound.client()
        client.envelope()
        fits = "A: b\r\n\r\n" + "..\r\n" * 30 + "\r\n"  # 8 + 30 * 3 + 2 = 100 bytes, 130 on the wire
        assert client.ask(fits + ".").startswith("250 ")
        client.envelope()
        assert client.ask(fits + "x\r\n.") == "552 5.3.4 Message too big!"
        client.envelope()
        client.send(b"x" * 1_000_000)
        assert client.ask("\r\n.") == "552 5.3.4 Message too big!"
        assert client.ask("NOOP").startswith("250 ")
    assert len(local.mails) == 1


def test_no_size_limit() -> None:
    with Inbound([Local()], max_bytes=0) as inbound:
        client = inbound.client()
        assert "250-SIZE 0" in client.ask("EHLO x")
        client.envelope()
        assert client.ask("x" * 100_000 + "\r\n.").startswith("250 ")


def test_mail_that_goes_round_in_circles_is_refused() -> None:
    with Inbound([Local()], max_received=3) as inbound:
        client = inbound.client()
        client.envelope()
        assert client.ask("Received: x\r\n" * 3 + "\r\n.").startswith("250 ")
        client.envelope()
        reply = client.ask("Received: x\r\n" * 4 + "\r\n.")
        assert reply == "550 5.4.6 Too many received headers - possible mail loop"


def test_a_header_of_too_many_lines_is_refused() -> None:
    with Inbound([Local()], max_header_lines=10) as inbound:
        client = inbound.client()
        client.envelope()
        assert client.ask("X-A: b\r\n" * 11 + "\r\n.") == "552 5.3.4 Header too big"


def test_an_endless_header_is_refused_and_not_kept() -> None:
    with Inbound([Local()]) as inbound:
        client = inbound.client()
        client.envelope()
        for _ in range(40):
            client.send(b"X-A: " + b"b" * 65_000 + b"\r\n")
        assert client.ask("\r\n.") == "552 5.3.4 Header too big"


def test_bare_newlines_are_repaired_where_that_is_wanted() -> None:
    local = Local()
    with Inbound([local], bare_newline="repair", add_received=False) as inbound:
        client = inbound.client()
        client.envelope()
        assert client.ask("A: b\n\nbody\n.\nMAIL FROM:<x@y.z>\r\n.").startswith("250 ")
        client.send(b"NOOP\n")
        assert client.read() == "250 2.0.0 OK"
    assert local.mails[0][2] == b"A: b\r\n\r\nbody\r\n..\r\nMAIL FROM:<x@y.z>\r\n"


@pytest.mark.parametrize(
    ("message", "stored"),
    [
        (b"", b""),
        (b"body only\r\n", b"\r\nbody only\r\n"),
        (b"A: b\r\n", b"A: b\r\n"),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n"),
        (b"\r\nbody\r\n", b"\r\nbody\r\n"),
        (b"A: b\r\nnot a field\r\n", b"A: b\r\n\r\nnot a field\r\n"),
    ],
)
def test_where_the_header_ends(message: bytes, stored: bytes) -> None:
    local = Local()
    with Inbound([local], add_received=False) as inbound:
        client = inbound.client()
        client.envelope()
        client.send(message)
        assert client.ask(".").startswith("250 ")
    assert local.mails[0][2] == stored


def test_a_large_message_goes_to_a_file_that_is_gone_afterwards(tmp_path) -> None:
    seen = []

    class Look(Plugin):
        name = "look"

        def hook_data_post(self, connection):
            seen.extend(path.stat().st_mode & 0o777 for path in tmp_path.iterdir())

    with Inbound([Look(), Local()], spool_dir=str(tmp_path), spool_after=1000) as inbound:
        client = inbound.client()
        client.envelope()
        assert client.ask("A: b\r\n\r\n" + "x" * 5000 + "\r\n.").startswith("250 ")
        client.envelope()
        client.send(b"A: b\r\n\r\n" + b"x" * 5000)
        client.close()
        line_of(inbound, "disconnect")
    assert seen == [0o600]
    assert list(tmp_path.iterdir()) == []


def test_a_spool_dir_that_cannot_be_written_is_451(tmp_path) -> None:
    with Inbound([Local()], spool_dir=str(tmp_path / "missing"), spool_after=0) as inbound:
        client = inbound.client()
        client.envelope()
        assert client.ask("A: b\r\n\r\nbody\r\n.") == "451 4.3.1 Insufficient system storage"
        assert "check spool_dir" in line_of(inbound, "cannot store the message")


def test_refusals_carry_the_uuid_where_that_is_wanted() -> None:
    with Inbound(deny_chars=6) as inbound:
        client = inbound.client()
        uuid = client.banner[-7:-1]
        assert client.ask("FOO") == f"500 5.5.1 [{uuid}@mx] Unrecognized command"
        assert client.ask("NOOP") == "250 2.0.0 OK"


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (None, "500 5.5.1 Unrecognized command"),
        (DENY, "500 5.5.1 Unrecognized command"),
        ((DENY, "no"), "500 5.5.1 no"),
        ((NEXT_HOOK, "connect"), "220 mx.example.test ESMTP Haraka/1.0 ready (*)"),
        ((NEXT_HOOK, "no_such_hook"), "500 5.5.1 Unrecognized command"),
    ],
)
def test_unknown_verbs(answer, reply) -> None:
    with Inbound([Denier("unrecognized_command", answer)]) as inbound:
        client = inbound.client()
        got = client.ask("XYZZY now")
        assert got.startswith(reply.partition("*")[0])


def test_a_plugin_talks_with_the_client() -> None:
    class Question(Plugin):
        name = "question"

        def hook_unrecognized_command(self, connection, verb, argument):
            if verb != "QUESTION":
                return None
            return DENY, f"you said {connection.ask(334, 'what?')}"

    with Inbound([Question()]) as inbound:
        client = inbound.client()
        assert client.ask("QUESTION") == "334 what?"
        assert client.ask("nothing") == "500 5.5.1 you said nothing"
        assert client.ask("QUESTION") == "334 what?"
        client.close()
        line_of(inbound, "disconnect")
        assert not [line for line in inbound.lines if "CRIT" in line]


@pytest.mark.parametrize("hook", ["data_post", "queue", "rcpt"])
def test_a_broken_filter_defers_the_mail(hook) -> None:
    class Broken(Plugin):
        name = "broken"

    def fail(*args):
        raise RuntimeError("out of order")

    broken = Broken()
    broken.register_hook(hook, fail)
    local = Local()
    with Inbound([broken, local]) as inbound:
        client = inbound.client()
        if hook == "rcpt":
            ehlo_mail(client)
            reply = client.ask("RCPT TO:<b@example.com>")
        else:
            client.envelope()
            reply = client.ask(".")
        assert reply[:3] == "450"
        assert "out of order" in line_of(inbound, "CRIT")
    assert local.mails == []


def test_a_fault_of_ours_ends_one_session_with_421() -> None:
    def submit(transaction):
        raise RuntimeError("a bug")

    with Inbound([Relay()], submit=submit) as inbound:
        client = inbound.client()
        client.envelope("<a@example.org>", "<x@far.test>")
        assert client.ask(".") == "421 4.3.0 Internal Server Error"
        assert client.read() == ""
        assert "a bug" in line_of(inbound, "CRIT")
        assert inbound.client().ask("NOOP").startswith("250 ")


def test_a_silent_client_is_told_and_hung_up_on() -> None:
    with Inbound(inactivity_timeout=0.2) as inbound:
        client = inbound.client()
        started = time.monotonic()
        assert client.read() == "421 4.4.2 timeout"
        assert client.read() == ""
        assert time.monotonic() - started < 5


def test_the_log_tells_the_whole_story() -> None:
    with Inbound([Local()], log_level=NOTICE) as inbound:
        client = inbound.client()
        uuid = client.banner[-7:-1]
        client.envelope("<a@example.org>", "<b@example.com>", "<no@elsewhere.test>")
        client.ask("Message-Id: <1@a>\r\n\r\nbody\r\n.")
        client.ask("QUIT")
        disconnect = line_of(inbound, "disconnect")
        log = "\n".join(inbound.lines)
    assert all(uuid in line for line in inbound.lines)
    for text in (
        "connect ip=127.0.0.1 port=",
        "sender <a@example.org> code=CONT",
        "recipient <b@example.com> code=OK",
        "recipient <no@elsewhere.test> code=CONT",
        "queue code=OK",
        "message mid=<1@a> size=",
        "rcpts=1/0/1 delay=",
    ):
        assert text in log
    for text in (
        "disconnect ip=127.0.0.1 rdns=localhost helo=client.test relay=N early=N esmtp=Y tls=N pipe=N errors=0",
        'txns=1 rcpts=1/0/1 msgs=1/0/0 bytes=27 lr="550 5.7.1 I cannot deliver mail for <no@elsewhere.test>" time=0.',
    ):
        assert text in disconnect


def test_early_talkers_and_pipelining_are_noticed() -> None:
    with Inbound([Denier("connect", None)]) as inbound:
        client = inbound.client()
        client.send(b"EHLO x\r\nNOOP\r\n")
        client.read()
        client.read()
        client.close()
        assert "pipe=Y" in line_of(inbound, "disconnect")


def test_nothing_waits_for_the_garbage_collector() -> None:
    class Note(Plugin):
        name = "note"

        def hook_data_post(self, connection):
            connection.results.add(self, {"pass": "a"})
            connection.transaction.results.add(self, {"pass": "b"})
            connection.notes.set("a.b", connection.uuid)

    def alive() -> int:
        return sum(isinstance(each, Session | Connection | Transaction) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = alive()
        with Inbound([Note(), Denier("rcpt", OK), Denier("queue", OK)]) as inbound:
            client = inbound.client()
            for _ in range(3):
                client.envelope()
                client.ask("Subject: x\r\n\r\nbody\r\n.")
            assert sum(isinstance(each, Transaction) for each in gc.get_objects()) <= before + 1
            client.close()
            line_of(inbound, "disconnect")
            gevent.sleep(0.01)
        assert alive() == before
    finally:
        gc.enable()


class TestStop:
    def test_an_idle_client_is_told(self) -> None:
        with Inbound() as inbound:
            client = inbound.client()
            inbound.listener.stop()
            assert client.read() == "421 4.3.2 Service not available, closing transmission channel"
            assert client.read() == ""
            inbound.listener.join(2)
            assert inbound.listener.count == 0

    def test_a_message_that_comes_in_is_taken(self) -> None:
        local = Local()
        with Inbound([local]) as inbound:
            client = inbound.client()
            client.envelope()
            client.send(b"A: b\r\n\r\nhalf of it\r\n")
            gevent.sleep(0.05)
            inbound.listener.stop()
            gevent.sleep(0.05)
            assert client.ask("the rest\r\n.").startswith("250 ")
            assert client.read() == ""
        assert len(local.mails) == 1

    def test_who_does_not_finish_in_time_is_cut(self) -> None:
        with Inbound([Local()]) as inbound:
            client = inbound.client()
            client.envelope()
            inbound.listener.stop()
            inbound.listener.join(0.1)
            assert client.read() == ""
            assert inbound.listener.count == 0
