"""block_me: a trusted user forwards a mail, and its sender is refused from then on."""

from __future__ import annotations

import sys

import pytest

from mta.plugin import Address, Plugin
from tests.support.bundled import deliver, inbound_with
from tests.support.plugins import logger_and_lines, plugins_of
from tests.support.service import Client, Local

FILES = {"block_me.recipient": "block@example.org\n", "block_me.senders": "Boss@example.org\n"}
FORWARDED = (
    b"Subject: Fwd: cheap\r\n\r\nlook:\r\n\r\n> From: Spammer <Spam@bad.example>\r\n> Subject: cheap\r\n"
)
AS_ATTACHMENT = (
    b"From: boss@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nblock him\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n"
    b"From: Spammer <spam@bad.example>\r\nSubject: cheap\r\n\r\nbuy\r\n--b--\r\n"
)


class Trusted(Plugin):
    """Who says EHLO trusted may relay."""

    name = "trusted"

    def hook_mail(self, connection, mail_from, params):
        connection.relaying = mail_from.host == "example.org"


@pytest.fixture
def side(tmp_path):
    local = Local()

    class Outbound(Plugin):
        name = "outbound"

        def hook_queue_outbound(self, connection):
            return local.hook_queue(connection)

    with inbound_with(
        tmp_path, ["block_me"], FILES, before=[Trusted()], after=[local, Outbound()]
    ) as inbound:
        inbound.local = local
        yield inbound


def send(side, message=FORWARDED, sender="boss@example.org", *rcpts):
    client = Client(side.port)
    replies = deliver(client, message, *(rcpts or ("<Block@example.org>",)), sender=f"<{sender}>")
    client.close()
    return replies[-1]


def blocklist(tmp_path):
    path = tmp_path / "config" / "mail_from.blocklist"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("message", [FORWARDED, AS_ATTACHMENT])
def test_the_sender_of_the_forwarded_mail_is_refused_from_then_on(side, tmp_path, message):
    assert "<spam@bad.example>" not in send(
        side, b"Subject: x\r\n\r\nx\r\n", "spam@bad.example", "<b@example.com>"
    )
    assert side.local.mails.pop()
    assert send(side, message).startswith("250 2.0.0 spam@bad.example is blocked (")
    assert side.local.mails == []  # the order itself goes nowhere
    assert blocklist(tmp_path) == ["spam@bad.example"]
    client = Client(side.port)
    client.ask("EHLO x")
    assert (
        client.ask("MAIL FROM:<SPAM@bad.example>")
        == "550 5.7.1 mail from SPAM@bad.example is not wanted here"
    )
    client.close()


def test_a_sender_is_written_once(side, tmp_path):
    send(side)
    send(side)
    assert blocklist(tmp_path) == ["spam@bad.example"]


def test_the_list_is_one_that_an_operator_may_edit(side, tmp_path):
    path = tmp_path / "config" / "mail_from.blocklist"
    path.write_text("; mine\nother@bad.example")
    send(side)
    assert path.read_text() == "; mine\nother@bad.example\nspam@bad.example\n"


def test_only_some_may_block(side, tmp_path):
    reply = send(side, FORWARDED, "clerk@example.org")
    assert reply == "550 5.7.1 You are not allowed to block mail, clerk@example.org"
    assert blocklist(tmp_path) == []


def test_a_mail_without_a_sender_in_it_blocks_nobody(side, tmp_path):
    reply = send(side, b"From: boss@example.org\r\nSubject: x\r\n\r\nFrom: nobody\r\nhello\r\n")
    assert reply.startswith("550 5.7.1 There is no sender in that mail")
    assert blocklist(tmp_path) == []


@pytest.mark.parametrize(
    ("sender", "rcpts"),
    [
        ("boss@elsewhere.example", ("<block@example.org>", "<b@example.com>")),
        ("boss@example.org", ("<block@example.org>", "<b@example.com>")),
        ("boss@example.org", ("<b@example.com>",)),
    ],
)
def test_other_mail_is_mail(side, tmp_path, sender, rcpts):
    send(side, FORWARDED, sender, *rcpts)
    assert len(side.local.mails) == 1 and blocklist(tmp_path) == []


def test_a_list_that_is_a_directory_is_told(side, tmp_path):
    (tmp_path / "config" / "mail_from.blocklist").mkdir()
    assert send(side).startswith("450 4.7.1 The list of blocked senders can not be written")


FIELDS = [
    (" Name <a@b.example>", "a@b.example"),
    (' "evil@x.example" <a@b.example>', "a@b.example"),
    (" a@b.example", "a@b.example"),
    (" Name [mailto:a@b.example]", "a@b.example"),
    (" nobody", None),
    (" <a@b@c>", None),
    (" " + "x" * 100_000, None),
]


@pytest.mark.parametrize(("field", "address"), FIELDS, ids=[field[:20] for field, _ in FIELDS])
def test_who_a_from_field_names(tmp_path, field, address):
    [plugin] = plugins_of(tmp_path, ["block_me"], {}, logger_and_lines()[0])
    module = sys.modules[type(plugin).__module__]
    expected = None if address is None else Address.parse(address)
    assert module.address_in(field[: module.LONGEST_FIELD]) == expected
