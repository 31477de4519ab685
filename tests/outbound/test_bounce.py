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
from flufl.bounce import all_failures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mta.net.next_hop import NextHop
from mta.outbound.bounce import build
from mta.outbound.bounce_report import MAX_HEADER, Kind, Original, Report, Templates
from mta.outbound.bounce_status import diagnostic_of, final_recipient, original_recipient, status_of
from mta.outbound.bounce_text import escaped
from mta.outbound.outcome import DEFERRED, DELIVERED, FAILED, NO_RETRIES, NO_TIME, Outcome, Peer
from mta.smtp.address import NULL, Address
from mta.smtp.reply import Reply

CORPUS = Path(__file__).parents[1] / "corpus" / "bounces"
ETC = Path(__file__).parents[2] / "etc"
HTML = ["<p>Dear {from}, {recipients} &amp; co: {reason}</p>", '<p>{subject}</p><img src="cid:logo">']
IMAGE = ["Content-Type: image/gif", "Content-Transfer-Encoding: base64", "Content-ID: <logo>", "", "R0lGODlh"]


def shipped(name: str, *more: list[str]) -> Templates:
    return Templates((ETC / name).read_text().splitlines(), *more)


TEMPLATE = shipped("outbound.bounce_message")
TEMPLATES = {
    "delayed": shipped("outbound.delay_message"),
    "delivered": shipped("outbound.delivered_message"),
    "html": shipped("outbound.bounce_message", HTML),
    "html_with_image": shipped("outbound.bounce_message", HTML, IMAGE),
}
PEER = Peer("mx.example.net", "192.0.2.1", 25, "SMTP", False, False, NextHop("192.0.2.1"))
STORE = Peer("store.test", "192.0.2.2", 24, "LMTP", False, False, NextHop("192.0.2.2"))
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
        sender=more.pop("sender", rcpt(to)),
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
    "utf8_everything": report(
        {rcpt("δοκιμή@παράδειγμα.test"): failed(Reply(550, "δεν υπάρχει", "5.1.1"))},
        "Subject: Grüße\r\n".encode(),
        "jürgen@a.test",
        named={rcpt("δοκιμή@παράδειγμα.test"): "utf-8;παλιά@c.test"},
    ),
    "envelope_and_original_recipient": report(
        envelope_id="QQ+2B314159", named={rcpt("joe@example.net"): "rfc822;joe+2Bnews@old.test"}
    ),
    "whole_message": report(whole=ORIGINAL + b"\r\nfirst\r\n..dotted\r\n"),
    "whole_8bit_body": report(whole=ORIGINAL + "\r\nGrüße\r\n".encode()),
    "whole_8bit_header": report(
        original="Subject: Grüße\r\n".encode(), whole="Subject: Grüße\r\n\r\nbody\r\n".encode()
    ),
    "out_of_time": report(
        {rcpt("tim@example.net"): failed(Reply(450, "greylisted", "4.2.0"), expired=NO_TIME)}
    ),
    "delayed": report(
        {
            rcpt("tim@example.net"): Outcome(DEFERRED, Reply(450, "greylisted", "4.2.0"), PEER),
            rcpt("ann@example.net"): Outcome(DEFERRED, Reply(450, "later"), PEER),
        },
        kind=Kind.DELAYED,
        retry_until=1795652499.0,
    ),
    "delivered": report(
        {
            rcpt("tim@example.net"): Outcome(DELIVERED, Reply(250, "taken", "2.0.0"), PEER),
            rcpt("ann@example.net"): Outcome(DELIVERED, Reply(250, "kept", "2.1.5"), STORE),
        },
        kind=Kind.DELIVERED,
    ),
    "html": report(original=b"Subject: <b>&\"'\r\n"),
    "html_with_image": report(),
    "double_bounce": report(to="postmaster@relay.test", sender=NULL),
}
FAILURES = {name: case for name, case in CASES.items() if case.kind is Kind.FAILED}


def made_of(name: str) -> bytes:
    return build(TEMPLATES.get(name, TEMPLATE), CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    path = CORPUS / f"{name}.ref"
    made = made_of(name)
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
def test_every_report_is_valid(name: str) -> None:
    made, case = made_of(name), CASES[name]
    whole, text, about, blocks, original = parts(made)
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "delivery-status"
    assert [whole[field] for field in ("MIME-Version", "Auto-Submitted")] == ["1.0", "auto-replied"]
    assert whole["From"] == "MAILER-DAEMON@relay.test"
    assert whole["Date"] and whole["Message-Id"] == "<0A1B-2C3D@relay.test>"
    assert text.get_content_type() in ("text/plain", "multipart/alternative", "multipart/related")
    assert original.get_content_type() in (
        "text/rfc822-headers",
        "message/rfc822",
        "message/global",
        "message/global-headers",
    )
    assert about["Reporting-MTA"] == "dns; relay.test"
    assert about["Arrival-Date"] == "Sun, 22 Nov 2026 00:21:39 +0000"
    assert len(blocks) == len(case.outcomes)
    kind = {Kind.FAILED: "5", Kind.DELAYED: "4", Kind.DELIVERED: "2"}[case.kind]
    for block in blocks:
        assert str(block["Final-Recipient"]).startswith(("rfc822; ", "utf-8; "))
        assert block["Action"] in ("failed", "delayed", "relayed", "delivered")
        assert block["Status"].startswith(f"{kind}.")
        assert str(block["Diagnostic-Code"]).startswith("smtp; ")
        assert block["Last-Attempt-Date"] == "Sun, 22 Nov 2026 00:23:19 +0000"
    assert b"\n" not in made.replace(b"\r\n", b"")
    assert max(map(len, made.split(b"\r\n"))) <= 998
    assert whole.walk() and not [part.defects for part in whole.walk() if part.defects]


@pytest.mark.parametrize("name", [name for name in FAILURES if not name.startswith("utf8")])
def test_another_reader_finds_who_failed(name: str) -> None:
    _, failed = all_failures(email.message_from_bytes(made_of(name)))
    named = dict(CASES[name].named)
    expected = {rcpt.address if rcpt not in named else "joe+news@old.test" for rcpt in CASES[name].outcomes}
    assert failed == {address.encode() for address in expected}


def test_another_reader_takes_a_delay_for_no_failure() -> None:
    waiting, failed = all_failures(email.message_from_bytes(made_of("delayed")))
    assert (waiting, failed) == ({b"tim@example.net", b"ann@example.net"}, set())


def test_another_reader_finds_no_failure_in_success() -> None:
    assert all_failures(email.message_from_bytes(made_of("delivered"))) == (set(), set())


# -- what programs read


def test_envelope_id_and_original_recipient_are_decoded() -> None:
    _, _, about, (block,), _ = parts(made_of("envelope_and_original_recipient"))
    assert about["Original-Envelope-Id"] == "QQ+314159"
    assert block["Original-Recipient"] == "rfc822; joe+news@old.test"
    assert block["Final-Recipient"] == "rfc822; joe@example.net"
    assert "Original-Envelope-Id" not in parts(made_of("one_recipient"))[2]


def test_the_envelope_id_can_not_break_out() -> None:
    made = build(
        TEMPLATE,
        report(envelope_id="a+0D+0ABcc:+20x", named={rcpt("joe@example.net"): "rfc822;a+0D+0A+0D+0Ab"}),
    )
    _, _, about, (block,), _ = parts(made)
    assert about.keys() == ["Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"]
    assert block["Original-Recipient"] == "rfc822; a b"


@pytest.mark.parametrize(
    ("orcpt", "utf8", "field"),
    [
        ("rfc822;joe@old.test", False, "rfc822; joe@old.test"),
        ("rfc822;joe+2Bx@old.test", False, "rfc822; joe+x@old.test"),
        (r"utf-8;\x{E9}@old.test", False, r"utf-8; \x{E9}@old.test"),
        ("utf-8;é@old.test", True, "utf-8; é@old.test"),
        ("utf-8;é@old.test", False, r"utf-8; \x{E9}@old.test"),
        ("rfc822;not+an+xtext", False, "rfc822; not+an+xtext"),
        ("x400;é", False, "x400; ?"),
    ],
)
def test_original_recipient(orcpt: str, utf8: bool, field: str) -> None:
    assert original_recipient(orcpt, utf8) == field


def test_a_delay_says_until_when() -> None:
    _, text, _, blocks, _ = parts(made_of("delayed"))
    assert [block["Action"] for block in blocks] == ["delayed", "delayed"]
    assert [block["Status"] for block in blocks] == ["4.2.0", "4.0.0"]
    assert {block["Will-Retry-Until"] for block in blocks} == {"Thu, 26 Nov 2026 00:21:39 +0000"}
    assert "until Thu, 26 Nov 2026 00:21:39 +0000" in text.get_payload()
    assert "Will-Retry-Until" not in parts(made_of("one_recipient"))[3][0]


def test_success_is_relayed_or_delivered() -> None:
    _, _, _, blocks, _ = parts(made_of("delivered"))
    assert [block["Action"] for block in blocks] == ["relayed", "delivered"]
    assert [block["Status"] for block in blocks] == ["2.0.0", "2.1.5"]


def test_an_internationalised_report() -> None:
    made = made_of("utf8_everything")
    _, _, _, (block,), original = parts(made)
    assert not made.isascii()
    assert original.get_content_type() == "message/global-headers"
    assert original["Content-Transfer-Encoding"] == "8bit"
    assert "Subject: Grüße\r\n".encode() in made
    assert "Final-Recipient: utf-8; δοκιμή@".encode() in made
    assert "Original-Recipient: utf-8; παλιά@c.test\r\n".encode() in made
    assert "Diagnostic-Code: smtp; 550 5.1.1 δεν υπάρχει\r\n".encode() in made
    assert block["Status"] == "5.1.1"
    assert "To: jürgen@a.test\r\n".encode() in made


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.utf8])
def test_any_other_report_has_an_ascii_header_and_status(name: str) -> None:
    made = made_of(name)
    assert made.split(b"\r\n\r\n")[0].isascii()
    assert made.split(b"message/delivery-status")[1].split(b"--report_")[0].isascii()


# -- the original


@pytest.mark.parametrize(
    ("name", "kind", "encoding"),
    [
        ("whole_message", "message/rfc822", None),
        ("whole_8bit_body", "message/rfc822", "8bit"),
        ("whole_8bit_header", "message/global", "8bit"),
    ],
)
def test_the_whole_message_comes_back_octet_by_octet(name: str, kind: str, encoding: str | None) -> None:
    made, message = made_of(name), CASES[name].original.whole
    *_, original = parts(made)
    assert (original.get_content_type(), original["Content-Transfer-Encoding"]) == (kind, encoding)
    assert email.message_from_bytes(made)["Content-Transfer-Encoding"] == encoding
    assert b"\r\n\r\n" + message.replace(b"\r\n..", b"\r\n.") + b"\r\n--report_" in made


def test_a_message_with_lines_too_long_does_not_come_back_whole() -> None:
    *_, original = parts(build(TEMPLATE, report(whole=ORIGINAL + b"\r\n" + b"a" * 999 + b"\r\n")))
    assert original.get_content_type() == "text/rfc822-headers"


# -- HTML


def test_html_is_an_alternative_with_escaped_values() -> None:
    _, both, *_ = parts(made_of("html"))
    assert both.get_content_type() == "multipart/alternative"
    plain, html = both.get_payload()
    assert plain.get_content_type() == "text/plain" and "<joe@example.net>" in plain.get_payload()
    assert html.get_content_type() == "text/html"
    text = html.get_payload(decode=True).decode()
    assert "Dear sender@example.com, &lt;joe@example.net&gt; &amp; co: no such user" in text
    assert "<p>&lt;b&gt;&amp;&quot;&#x27;</p>" in text


def test_an_image_is_related_to_the_html() -> None:
    _, related, *_ = parts(made_of("html_with_image"))
    assert related.get_content_type() == "multipart/related"
    assert related.get_param("type") == "multipart/alternative"
    both, image = related.get_payload()
    assert both.get_content_type() == "multipart/alternative"
    assert (image.get_content_type(), image["Content-ID"]) == ("image/gif", "<logo>")
    assert image.get_payload(decode=True) == b"GIF89a"


def test_no_boundary_begins_like_another() -> None:
    """RFC 2046 5.1.1: a reader may compare the beginning of a line only."""
    whole = email.message_from_bytes(made_of("html_with_image"))
    boundaries = [part.get_boundary() for part in whole.walk() if part.is_multipart() and part.get_boundary()]
    assert len(boundaries) == 3
    assert not [(a, b) for a in boundaries for b in boundaries if a is not b and a.startswith(b)]


@pytest.mark.parametrize("blank", [[], [""], ["  ", ""]])
def test_an_empty_html_template_is_none(blank: list[str]) -> None:
    _, text, *_ = parts(build(Templates(TEMPLATE.text, blank, IMAGE), report()))
    assert text.get_content_type() == "text/plain"


def test_several_lines_of_a_value_survive_in_html() -> None:
    assert escaped({"a": "x\ny\rz<"}) == {"a": "x&#10;y&#13;z&lt;"}


# -- what is wrong in Haraka 3.1.6


def test_the_faults_of_haraka_are_absent() -> None:
    why = {
        rcpt("joe@example.net"): failed(Reply(550, "no such user")),
        rcpt("tim@example.net"): failed(Reply(451, "cannot connect", "4.4.1"), None, NO_RETRIES),
    }
    original = b"Message-Id: <original@example.com>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    template = ["X: {to} {from} {msgid}", "", "{reason}", "{extended_reason}", "{subject}"]
    made = build(Templates(template), report(why, original))
    whole, text, about, (first, second), _ = parts(made)
    assert whole["MIME-Version"] == "1.0"
    for field in ("From", "To", "Subject", "Date", "Message-Id"):  # a template may lack them
        assert whole[field]
    assert whole["X"] == "sender@example.com sender@example.com <0A1B-2C3D@relay.test>"  # not `<>`
    words = text.get_payload(decode=True).decode().splitlines()
    assert not words[0].startswith("Error")
    assert (
        words[1:3]
        == [
            "<joe@example.net>: 550 no such user",
            "<tim@example.net>: Too many failures (451 4.4.1 cannot connect)",  # no empty line without an SMTP answer
        ]
    )
    assert words[3] == "Grüße"
    assert text.get_content_charset() == "utf-8"  # not us-ascii
    assert "Original-Envelope-Id" not in about  # no misuse of the Message-Id
    assert (
        first["Status"] == "5.0.0"
    )  # there without an enhanced code, and without the reason of another attempt
    assert first["Remote-MTA"] == "dns; mx.example.net"
    assert first["Diagnostic-Code"] == "smtp; 550 no such user"  # no blank at the end
    assert "Remote-MTA" not in second
    assert made.endswith(f"--{whole.get_boundary()}--\r\n".encode())


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


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(list(Kind)),
    junk=st.binary(max_size=200),
    said=st.text(max_size=60),
    sender=st.sampled_from(["sender@example.com", "é@example.com"]),
    user=st.sampled_from(["joe", "jürgen"]),
)
def test_nothing_that_a_sender_says_breaks_a_report(
    kind: Kind, junk: bytes, said: str, sender: str, user: str
) -> None:
    said = said.encode(errors="replace").decode()
    fate = {Kind.FAILED: FAILED, Kind.DELAYED: DEFERRED, Kind.DELIVERED: DELIVERED}[kind]
    to = rcpt(f"{user}@example.net")
    header = b"Subject: " + junk.translate(None, b"\r\n-") + b"\r\n"
    case = report(
        {to: Outcome(fate, Reply(250, said, "2.0.0"), PEER)},
        header,
        sender,
        kind,
        header + b"\r\n" + junk.replace(b"--", b""),
        envelope_id=said,
        named={to: f"{said};{said}"},
        retry_until=1795652499.0,
    )
    made = build(TEMPLATES["html_with_image"], case)
    whole, related, about, blocks, _ = parts(made)
    both, picture = related.get_payload()
    assert [part.get_content_type() for part in both.get_payload()] == ["text/plain", "text/html"]
    assert picture.get_payload(decode=True) == b"GIF89a"
    html = both.get_payload(1).get_payload(decode=True).decode()
    assert html.count("<") == 5  # the template's own: nothing else is markup
    assert set(about.keys()) <= {"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"}
    assert len(blocks) == 1 and len(blocks[0].keys()) in (7, 8)
    assert len(whole.get_payload()) == 3
    assert b"\n" not in made.replace(b"\r\n", b"") and b"\r" not in made.replace(b"\r\n", b"")
    assert max(map(len, made.split(b"\r\n"))) <= 998
