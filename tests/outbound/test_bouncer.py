"""From a mail to its report: what goes back of the message, which template, and where what the sender said ends up."""

from __future__ import annotations

import email
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message

import pytest

from mta.config.schema import OutboundSettings, ReportSettings
from mta.outbound.bounce_report import MAX_HEADER, Kind
from mta.outbound.bouncer import Bouncer, original_of
from mta.outbound.hmail import HMail
from mta.outbound.outcome import of_reply
from mta.smtp.address import Address
from mta.smtp.reply import Reply
from tests.support.outbound import hmail_for

JOE, SENDER = Address.parse("joe@b.test"), Address.parse("sender@a.test")
HEADER, BODY = b"Subject: hello\r\n", b"\r\nbody\r\n..dotted\r\n"
MESSAGE = HEADER + BODY
WHY = {
    Kind.FAILED: of_reply(Reply(550, "no", "5.1.1")),
    Kind.DELAYED: of_reply(Reply(450, "later", "4.2.0")),
    Kind.DELIVERED: of_reply(Reply(250, "taken", "2.0.0")),
}


class Unreadable:
    """A message whose disk fails after the first chunk."""

    size = 100

    def chunks(self) -> Iterator[bytes]:
        yield MESSAGE
        raise OSError(5, "Input/output error")


def hmail(message: bytes = MESSAGE, **params: str) -> HMail:
    made = hmail_for(["joe@b.test"], message)
    made.todo.extra["mail_params"] = params
    return made


def report(mail: HMail, kind: Kind = Kind.FAILED, full_max: int = 1000) -> Message:
    sent: list[bytes] = []

    def send(mail_from, rcpts, contents, about):
        sent.append(contents)
        assert (mail_from.is_null, list(rcpts)) == (True, [SENDER])
        assert about is mail
        return Reply(250, "kept")

    settings = replace(OutboundSettings(), reports=ReportSettings(full_max=full_max))
    bouncer = Bouncer("relay.test", lambda name: [f"X-Template: {name}", "", "text"], send, settings)
    assert bouncer.send_report(kind, mail, {JOE: WHY[kind]}, SENDER, 1795652499.0).kind == 2
    return email.message_from_bytes(sent[0])


@pytest.mark.parametrize(
    ("params", "full_max", "kind", "whole"),
    [
        ({"RET": "FULL"}, 1000, Kind.FAILED, True),
        ({"RET": "full"}, len(MESSAGE), Kind.FAILED, True),
        ({"RET": "FULL"}, len(MESSAGE) - 1, Kind.FAILED, False),
        ({"RET": "FULL"}, 0, Kind.FAILED, False),
        ({"RET": "HDRS"}, 1000, Kind.FAILED, False),
        ({}, 1000, Kind.FAILED, False),
        ({"RET": "FULL"}, 1000, Kind.DELAYED, False),
        ({"RET": "FULL"}, 1000, Kind.DELIVERED, False),
    ],
)
def test_what_comes_back(params: dict[str, str], full_max: int, kind: Kind, whole: bool) -> None:
    original = report(hmail(**params), kind, full_max).get_payload(2)
    assert original.get_content_type() == ("message/rfc822" if whole else "text/rfc822-headers")
    if whole:
        assert original.get_payload(0).get_payload() == "body\r\n.dotted\r\n"
    else:
        assert original.get_payload() == "Subject: hello\r\n"


@pytest.mark.parametrize(
    ("kind", "template"),
    [
        (Kind.FAILED, "outbound.bounce_message"),
        (Kind.DELAYED, "outbound.delay_message"),
        (Kind.DELIVERED, "outbound.delivered_message"),
    ],
)
def test_each_kind_has_its_template(kind: Kind, template: str) -> None:
    made = report(hmail(), kind)
    assert made["X-Template"] == template
    html = any(part.get_content_type() == "text/html" for part in made.walk())
    assert html is (kind is Kind.FAILED)


def test_what_the_sender_said_is_in_the_report() -> None:
    mail = hmail(ENVID="QQ+2B1")
    mail.todo.extra["rcpt_params"] = {"joe@b.test": {"ORCPT": "rfc822;joe+2Bx@old.test"}}
    about, block = report(mail).get_payload(1).get_payload()
    assert (about["Original-Envelope-Id"], block["Original-Recipient"]) == ("QQ+1", "rfc822; joe+x@old.test")


def test_a_message_that_can_not_be_read_makes_a_report_all_the_same() -> None:
    mail = hmail(RET="FULL")
    mail.message = Unreadable()
    assert report(mail).get_payload(2).get_payload() == "Subject: hello\r\n"


def test_no_more_of_a_message_is_read_than_goes_back() -> None:
    read: list[int] = []

    class Large:
        size = 10**9

        def chunks(self) -> Iterator[bytes]:
            for number in range(1000):
                read.append(number)
                yield b"X: " + b"a" * 1000 + b"\r\n"

    mail = hmail(RET="FULL")
    mail.message = Large()
    original = original_of(mail, 1000)
    assert original.whole is None
    assert MAX_HEADER < len(original.header) <= 2 * MAX_HEADER
    assert len(read) < 40
