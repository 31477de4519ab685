"""delay_deny: what is refused before DATA is refused at RCPT, and only to clients that may not relay."""

from __future__ import annotations

import pytest

from mta.plugin import DENY, DENYDISCONNECT, DENYSOFT, OK, Plugin, Reply
from tests.support.bundled import Relay, deliver, inbound_with
from tests.support.service import Client, Denier, Local

NAMES = ["delay_deny"]


def replies(inbound, *rcpts):
    with inbound:
        client = Client(inbound.port)
        found = [client.banner, *deliver(client, b"Subject: x\r\n\r\nx\r\n", *rcpts)]
        client.close()
    return found


@pytest.mark.parametrize("hook", ["lookup_rdns", "connect", "ehlo", "mail", "rcpt"])
def test_a_refusal_is_repeated_for_the_recipient(tmp_path, hook):
    after = [Denier(hook, (DENY, "no, because")), Local()]
    banner, sender, rcpt, data = replies(inbound_with(tmp_path, NAMES, after=after))
    assert banner.startswith("220 ") and sender.startswith("250 ")
    assert rcpt == "550 5.7.1 no, because"
    assert data.startswith("5")


@pytest.mark.parametrize("hook", ["lookup_rdns", "connect", "ehlo", "mail", "rcpt", "rcpt_ok"])
def test_who_may_relay_is_above_it(tmp_path, hook):
    sent = []

    def submit(transaction):
        sent.append(transaction.header.get_all("X-Haraka-Fail-Pre"))
        return Reply(250, "queued", "2.0.0")

    inbound = inbound_with(tmp_path, NAMES, before=[Relay()], after=[Denier(hook, DENY)])
    inbound.service.submit = submit
    found = replies(inbound)
    assert [reply[:3] for reply in found] == ["220", "250", "250", "354", "250"]
    assert sent == [["denier"]]


def test_rcpt_ok_is_refused_at_once(tmp_path):
    found = replies(inbound_with(tmp_path, NAMES, after=[Local(), Denier("rcpt_ok", (DENYSOFT, "later"))]))
    assert found[2] == "450 4.7.1 later"


def test_soft_refusals_stay_soft_when_nobody_else_accepts(tmp_path):
    found = replies(inbound_with(tmp_path, NAMES, after=[Denier("rcpt", (DENYSOFT, "later"))]))
    assert found[2] == "450 4.7.1 later"


def test_a_refusal_that_hangs_up_does_so_then(tmp_path):
    found = replies(inbound_with(tmp_path, NAMES, after=[Denier("connect", DENYDISCONNECT), Local()]))
    assert found[0].startswith("220 ")
    assert found[2] == "550 5.7.1 recipient <b@example.com> denied"
    assert found[3] == ""


class FirstOnly(Plugin):
    """Refuses one recipient."""

    name = "firstonly"

    def hook_rcpt(self, connection, rcpt, params):
        return (DENY, "not him") if rcpt.user == "first" else None


def test_the_refusal_of_one_recipient_is_not_that_of_the_next(tmp_path):
    for after in ([FirstOnly(), Local()], [FirstOnly()]):
        found = replies(
            inbound_with(tmp_path, NAMES, after=after), "<first@example.com>", "<second@example.com>"
        )
        assert found[2] == "550 5.7.1 not him"
        assert "not him" not in found[3]


class PickyEhlo(Plugin):
    name = "picky"

    def hook_ehlo(self, connection, host):
        return (DENY, "bad name") if host == "bad" else None


def test_a_better_hello_makes_up_for_a_bad_one(tmp_path):
    inbound = inbound_with(tmp_path, NAMES, after=[PickyEhlo(), Local()])
    with inbound:
        client = Client(inbound.port)
        for hello, expected in (("bad", "550 5.7.1 bad name"), ("good.example", "250 ")):
            assert client.ask(f"EHLO {hello}").startswith("250")
            client.ask("MAIL FROM:<a@example.org>")
            assert client.ask("RCPT TO:<b@example.com>").startswith(expected)
        client.close()


def test_another_client_behind_xclient_does_not_inherit_the_refusal(tmp_path):
    class NotLocal(Plugin):
        name = "notlocal"

        def hook_connect(self, connection):
            return (DENY, "no proxies") if connection.remote.is_local else None

    with inbound_with(tmp_path, ["delay_deny", "xclient"], after=[NotLocal(), Local()]) as inbound:
        client = Client(inbound.port)
        client.ask("EHLO proxy")
        assert client.ask("XCLIENT ADDR=192.0.2.1 NAME=client.example").startswith("220 ")
        assert deliver(client)[1].startswith("250 ")
        client.close()


@pytest.mark.parametrize(
    ("ini", "at_once"),
    [
        ("excluded_plugins=other, denier", True),
        ("excluded_plugins=denier:ehlo", True),
        ("excluded_plugins=denier:ehlo:<lambda>", True),
        ("excluded_plugins=denier:mail;denier:ehlo:other", False),
        ("included_plugins=other", True),
        ("included_plugins=other denier:ehlo", False),
        ("included_plugins=denier\nexcluded_plugins=denier", False),
    ],
)
def test_whose_refusals_wait(tmp_path, ini, at_once):
    inbound = inbound_with(
        tmp_path, NAMES, {"delay_deny.ini": f"[main]\n{ini}\n"}, after=[Denier("ehlo", DENY), Local()]
    )
    with inbound:
        client = Client(inbound.port)
        assert client.ask("EHLO x").startswith("550" if at_once else "250")
        client.close()


def test_the_header_names_what_was_pardoned_and_nothing_that_the_sender_wrote(tmp_path):
    local = Local()

    class Pardon(Plugin):
        name = "pardon"

        def hook_mail(self, connection, mail_from, params):
            connection.relaying = True

        def hook_rcpt(self, connection, rcpt, params):
            return OK

        def hook_data(self, connection):
            connection.relaying = False

    after = [Denier("connect", DENY), Pardon(), local]
    with inbound_with(tmp_path, NAMES, after=after) as inbound:
        client = Client(inbound.port)
        deliver(client, b"X-Haraka-Fail-Pre: forged\r\nSubject: x\r\n\r\nx\r\n")
        client.close()
    [(_, _, message)] = local.mails
    assert b"X-Haraka-Fail-Pre: denier\r\n" in message and b"forged" not in message
