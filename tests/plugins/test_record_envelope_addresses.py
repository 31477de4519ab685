"""record_envelope_addresses: the envelope in the header, and nobody learns of other recipients by accident."""

from __future__ import annotations

import pytest

from mta.plugin import Reply
from tests.support.bundled import Relay, deliver, inbound_with
from tests.support.service import Client, Local

NAMES = ["record_envelope_addresses"]
INI = "record_envelope_addresses.ini"


def fields(message, name):
    head = message.partition(b"\r\n\r\n")[0].decode()
    return [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith(f"{name}:")]


def received(tmp_path, *rcpts, ini="", message=b"Subject: x\r\n\r\nx\r\n", sender="<a@example.org>"):
    local = Local()
    with inbound_with(tmp_path, NAMES, {INI: f"[main]\n{ini}\n"}, after=[local]) as inbound:
        client = Client(inbound.port)
        assert deliver(client, message, *rcpts, sender=sender)[-1].startswith("250 ")
        client.close()
    [(_, _, stored)] = local.mails
    return fields(stored, "X-Envelope-From"), fields(stored, "X-Envelope-To")


def test_one_recipient(tmp_path):
    assert received(tmp_path) == (["a@example.org"], ["b@example.com"])


def test_the_null_sender(tmp_path):
    assert received(tmp_path, sender="<>")[0] == [""]


TWO = ("<b@example.com>", "<c@example.com>")


@pytest.mark.parametrize(
    ("ini", "rcpts", "written"),
    [
        ("", TWO, []),
        ("recipients=always", TWO, ["b@example.com", "c@example.com"]),
        ("recipients=never", TWO[:1], []),
    ],
)
def test_several_recipients_only_if_the_operator_says_so(tmp_path, ini, rcpts, written):
    assert received(tmp_path, *rcpts, ini=ini)[1] == written


def test_a_recipient_that_was_refused_is_not_written(tmp_path):
    rcpts = ("<no@elsewhere.example>", "<b@example.com>")
    assert received(tmp_path, *rcpts, ini="recipients=always")[1] == ["b@example.com"]


def test_what_the_sender_wrote_there_is_removed(tmp_path):
    message = (
        b"X-Envelope-To: boss@example.com\r\nx-envelope-from: boss@example.com\r\nSubject: x\r\n\r\nx\r\n"
    )
    assert received(tmp_path, message=message) == (["a@example.org"], ["b@example.com"])


@pytest.mark.parametrize(("ini", "written"), [("", []), ("outgoing=true", ["b@example.com"])])
def test_outgoing_mail(tmp_path, ini, written):
    stored = []

    def submit(transaction):
        stored.append(transaction.message_stream.get_data())
        return Reply(250, "queued", "2.0.0")

    with inbound_with(tmp_path, NAMES, {INI: f"[main]\n{ini}\n"}, before=[Relay()]) as inbound:
        inbound.service.submit = submit
        client = Client(inbound.port)
        deliver(client)
        client.close()
    assert fields(stored[0], "X-Envelope-To") == written
