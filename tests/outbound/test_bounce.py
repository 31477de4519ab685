"""Bounces: golden files, what the standard library's parser makes of them, and input that wants to do harm."""

from __future__ import annotations

import email
import os
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta.net.next_hop import NextHop
from mta.outbound.bounce import build
from mta.outbound.bounce_original import MAX_HEADER
from mta.outbound.bounce_report import Kind, Original, Report, Templates
from mta.outbound.bounce_status import diagnostic_of, final_recipient, status_of
from mta.outbound.outcome import FAILED, NO_RETRIES, NO_TIME, Outcome, Peer
from mta.smtp.address import Address
from mta.smtp.reply import Reply

CORPUS = Path(__file__).parents[1] / "corpus" / "bounces"
ETC = Path(__file__).parents[2] / "etc"
TEMPLATE = Templates((ETC / "outbound.bounce_message").read_text().splitlines())
PEER = Peer("mx.example.net", "192.0.2.1", 25, "SMTP", False, False, NextHop("192.0.2.1"))
LITERAL = Peer("192.0.2.1", "192.0.2.1", 25, "SMTP", False, False, NextHop("192.0.2.1"))
ORIGINAL = (
    b"Received: from client ([192.0.2.7])\r\n\tby relay.test; Sun, 22 Nov 2026 01:21:39 +0000\r\n"
    b"From: sender@example.com\r\nSubject: hello\r\nMessage-Id: <original@example.com>\r\n"
)


def rcpt(text: str) -> Address:
    return Address.parse(text)


def failed(reply: Reply, peer: Peer | None = PEER, expired: str = "") -> Outcome:
    return Outcome(FAILED, reply, peer, expired)


NO_SUCH_USER = failed(Reply(550, "no such user", "5.1.1"))


def report(
    failures: dict[Address, Outcome] | None = None,
    original: bytes = ORIGINAL,
    to: str = "sender@example.com",
    kind: Kind = Kind.FAILED,
    whole: bytes | None = None,
    **more: Any,
) -> Report:
    return Report(
        kind=kind,
        me="relay.test",
        to=rcpt(to),
        sender=rcpt(to),
        outcomes=failures or {rcpt("joe@example.net"): NO_SUCH_USER},
        original=Original(original, whole),
        arrived=1795306899.0,
        now=1795306999.0,
        msgid="<0A1B-2C3D@relay.test>",
        pid=4242,
        **more,
    )


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


CASES = {
    "one_recipient": report(),
    "several_recipients": report(
        {
            rcpt("joe@example.net"): NO_SUCH_USER,
            rcpt("ann@example.net"): failed(Reply(552, ["mailbox full", "really"])),
            rcpt("tim@example.net"): failed(Reply(450, "greylisted", "4.2.0"), LITERAL, expired=NO_RETRIES),
        }
    ),
    "no_next_hop": report(
        {rcpt("joe@gone.test"): failed(Reply(550, "No Such Domain: gone.test", "5.1.2"), None)}
    ),
    "expired_without_answer": report(
        {
            rcpt("joe@example.net"): failed(
                Reply(451, "cannot connect to mx: refused"), None, expired=NO_RETRIES
            )
        }
    ),
    "utf8_subject_and_recipient": report(
        {rcpt("δοκιμή@παράδειγμα.test"): failed(Reply(550, "δεν υπάρχει", "5.1.1"))},
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: Jürgen\r\n".encode(),
    ),
    "utf8_sender": report(to="δοκιμή@παράδειγμα.test"),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    path = CORPUS / f"{name}.ref"
    made = build(TEMPLATE, CASES[name])
    if os.environ.get("UPDATE_BOUNCES"):
        path.write_bytes(made)
    assert made.decode() == path.read_bytes().decode()


def parts(made: bytes) -> tuple[Message, Message, Message, list[Message], Message]:
    """The whole, the text, the block about the message, the blocks about recipients, the original."""
    whole = email.message_from_bytes(made)
    text, status, original = whole.get_payload()
    if status.get_content_type() == "message/delivery-status":
        about, *blocks = status.get_payload()
    else:
        assert status.get_content_type() == "message/global-delivery-status"
        # The standard library does not know that type: take the content out of the bytes.
        content = made.split(b"message/global-delivery-status\r\n")[1].split(b"\r\n--report_")[0]
        _, *raw = content.split(b"\r\n\r\n")
        about, *blocks = map(email.message_from_bytes, raw)
    return whole, text, about, blocks, original


@pytest.mark.parametrize("name", CASES)
def test_every_bounce_is_a_valid_report(name: str) -> None:
    made = build(TEMPLATE, CASES[name])
    whole, text, about, blocks, headers = parts(made)
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "delivery-status"
    assert [whole[field] for field in ("MIME-Version", "Auto-Submitted")] == ["1.0", "auto-replied"]
    assert whole["From"] == "MAILER-DAEMON@relay.test"
    assert text.get_content_type() == "text/plain"
    assert headers.get_content_type() in ("text/rfc822-headers", "message/global-headers")
    assert about["Reporting-MTA"] == "dns; relay.test"
    assert about["Arrival-Date"] == "Sun, 22 Nov 2026 00:21:39 +0000"
    assert len(blocks) == len(CASES[name].outcomes)
    for block in blocks:
        assert block["Action"] == "failed"
        assert block["Status"].startswith("5.")
        assert block["Diagnostic-Code"].startswith("smtp; ")
        assert block["Last-Attempt-Date"] == "Sun, 22 Nov 2026 00:23:19 +0000"
    assert b"\n" not in made.replace(b"\r\n", b"")
    assert max(map(len, made.split(b"\r\n"))) <= 998


def test_original_header_comes_back_unstuffed_and_without_body() -> None:
    *_, headers = parts(build(TEMPLATE, report(original=b"..Dotted: x\r\n" + ORIGINAL)))
    back = headers.get_payload()
    assert back.startswith(".Dotted: x\r\n")
    assert "Subject: hello" in back


def test_bounce_refers_to_the_original() -> None:
    assert email.message_from_bytes(build(TEMPLATE, report()))["References"] == "<original@example.com>"


def test_huge_original_header_is_cut_at_a_line_end() -> None:
    original = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 70) for n in range(2000))
    *_, headers = parts(build(TEMPLATE, report(original=original)))
    back = headers.get_payload()
    assert MAX_HEADER - 100 < len(back) <= MAX_HEADER
    assert back.endswith("v" * 70 + "\r\n")


def test_overlong_lines_are_encoded() -> None:
    made = build(TEMPLATE, report(original=b"X: " + b"a" * 5000 + b"\r\n"))
    assert max(map(len, made.split(b"\r\n"))) <= 998
    *_, headers = parts(made)
    assert headers.get_payload(decode=True) == b"X: " + b"a" * 5000 + b"\r\n"


def test_long_reply_is_cut() -> None:
    block = parts(
        build(TEMPLATE, report({rcpt("a@b.test"): failed(Reply(550, ["x" * 400] * 100, "5.0.0"))}))
    )[3][0]
    assert len(block["Diagnostic-Code"]) < 998


@pytest.mark.parametrize(
    "subject", [b"=?utf-8?q?a=0D=0ABcc:_evil@x?=", b"=?utf-8?q?a=0A=0Abody?=", b"=?utf-8?q?a=0D--report?="]
)
def test_subject_can_not_add_fields_or_parts(subject: bytes) -> None:
    template = ["Subject: Re {subject}", "", "{subject}"]
    whole, text, *_ = parts(build(Templates(template), report(original=b"Subject: " + subject + b"\r\n")))
    assert "Bcc" not in whole
    assert whole["Subject"].startswith("Re a")
    assert text.get_payload(decode=True).count(b"\n") == 1


def test_original_header_can_not_close_its_part() -> None:
    boundary = email.message_from_bytes(build(TEMPLATE, report())).get_boundary()
    original = f"X: y\r\n--{boundary}--\r\n".encode()
    # The boundary holds the id of the bounce, which nobody knows before it is made: this is what would have to be guessed.
    assert boundary == "report_0A1B-2C3D_relay_test"
    assert (
        len(
            email.message_from_bytes(
                build(TEMPLATE, report(original=original.replace(b"0A1B", b"FFFF")))
            ).get_payload()
        )
        == 3
    )


def test_template_without_header_gets_every_field() -> None:
    whole, text, *_ = parts(build(Templates(["", "Sorry, {recipients}: {nonsense}."]), report()))
    assert whole["To"] == "sender@example.com"
    assert whole["Subject"] == "failure notice"
    assert whole["Message-Id"] == "<0A1B-2C3D@relay.test>"
    assert whole["Date"] == "Sun, 22 Nov 2026 00:23:19 +0000"
    assert text.get_payload() == "Sorry, <joe@example.net>: ?.\r\n"


@pytest.mark.parametrize(
    ("sender", "raw"),
    [
        ("sender@example.com", b"Subject: =?utf-8?b?R3LDvMOfZQ==?="),
        ("é@example.com", "Subject: Grüße".encode()),
    ],
)
def test_header_is_ascii_unless_the_bounce_needs_smtputf8_anyway(sender: str, raw: bytes) -> None:
    made = build(
        Templates(["Subject: {subject}", ""]), report(original="Subject: Grüße\r\n".encode(), to=sender)
    )
    assert raw in made.split(b"\r\n")
    assert made.isascii() is (sender == "sender@example.com")


def test_template_can_not_break_the_structure() -> None:
    template = [
        "Content-Type: text/html",
        "MIME-Version: 2.0",
        "no field",
        " folded",
        "X-Own: {me}",
        "",
        "text",
    ]
    whole = email.message_from_bytes(build(Templates(template), report()))
    assert whole.get_all("Content-Type") and whole.get_content_type() == "multipart/report"
    assert whole.get_all("MIME-Version") == ["1.0"]
    assert whole["X-Own"] == "relay.test"


def test_empty_template_still_makes_a_report() -> None:
    assert len(email.message_from_bytes(build(Templates(), report())).get_payload()) == 3


@pytest.mark.parametrize(
    ("reply", "expired", "status"),
    [
        (Reply(550, "x", "5.1.1"), "", "5.1.1"),
        (Reply(550, "x"), "", "5.0.0"),
        (Reply(550, "x", "5.7.26"), "", "5.7.26"),
        (Reply(450, "x", "4.2.0"), NO_RETRIES, "5.2.0"),
        (Reply(450, "x"), NO_RETRIES, "5.4.7"),
        (Reply(450, "x", "4.2.0"), NO_TIME, "5.4.7"),
    ],
)
def test_status_is_always_there(reply: Reply, expired: str, status: str) -> None:
    assert status_of(failed(reply, expired=expired)) == status


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("joe@example.net", "rfc822; joe@example.net"),
        ('"a b"@example.net', 'rfc822; "a b"@example.net'),
        ("é+x@example.net", r"utf-8; \x{E9}\x{2B}x@example.net"),
    ],
)
def test_final_recipient(address: str, field: str) -> None:
    assert final_recipient(rcpt(address)) == field


def test_diagnostic_is_one_ascii_line() -> None:
    assert diagnostic_of(failed(Reply(550, ["ä", "b"], "5.0.0"))) == "smtp; 550 5.0.0 ? b"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from([b"Subject: ", b"Message-Id: ", b"X: ", b""]),
    junk=st.binary(max_size=200),
    answer=st.text(max_size=100),
    sender=st.sampled_from(["sender@example.com", "é@example.com"]),
)
def test_no_mail_and_no_reply_makes_a_broken_report(
    field: bytes, junk: bytes, answer: str, sender: str
) -> None:
    why = failed(Reply(550, answer.encode(errors="replace").decode(), "5.0.0"))
    original = field + junk.replace(b"--report", b"") + b"\r\n"
    template = ["Subject: {subject} {reason}", "", "{subject} {extended_reason}"]
    made = build(Templates(template), report({rcpt("joe@example.net"): why}, original, sender))
    whole, text, about, blocks, headers = parts(made)
    assert whole.get_all("To") == [whole["To"]] and whole.get_content_type() == "multipart/report"
    assert text.get_content_type() == "text/plain"
    assert headers.get_content_type() in ("text/rfc822-headers", "message/global-headers")
    assert list(about.keys()) == ["Reporting-MTA", "Arrival-Date"]
    assert len(blocks) == 1
    assert max(map(len, made.split(b"\r\n"))) <= 998
