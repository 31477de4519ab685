"""headers: what must be in a header, what must not, and what it tells about the sender."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from mta.plugin import DENY
from mta.testing import MailServer, make_connection, make_plugin, make_transaction
from tests.support.bundled import deliver, inbound_with
from tests.support.plugins import config_of, logger_and_lines, plugins_of
from tests.support.service import Client, Local

CHECKS = ("duplicate_singular", "missing_required", "invalid_return_path", "invalid_date", "user_agent")
CHECKS += ("direct_to_mx", "from_match", "delivered_to", "mailing_list", "from_phish")
SENDER = "anna@client.example"


def days(number: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(days=number))


def only(check: str, reject: bool = False, more: str = "", end: str = "") -> dict[str, str]:
    """headers.ini with one check."""
    off = "".join(f"{name}=false\n" for name in CHECKS if name != check)
    return {"headers.ini": f"[main]\n{more}\n[check]\n{off}[reject]\n{check}={str(reject).lower()}\n{end}"}


def judged(config, *fields, mail_from=SENDER, rcpt_to="bob@example.com", connection=None):
    """The answer about a message with these fields, and what was noted."""
    plugin = make_plugin("headers", config)
    message = "".join(f"{field}\n" for field in fields) + "\nhello\n"
    transaction = make_transaction(mail_from, rcpt_to, message)
    connection = connection or make_connection()
    connection.transaction = transaction
    answer = plugin.hook_data_post(connection)
    return answer, transaction.results.get("headers"), transaction


@pytest.mark.parametrize(
    ("check", "fields", "found", "refusal"),
    [
        ("duplicate_singular", ["From: a@b.example", "To: x"], {"pass": ["duplicate"]}, None),
        ("duplicate_singular", ["Received: a", "Received: b", "From: x"], {"pass": ["duplicate"]}, None),
        (
            "duplicate_singular",
            ["from : a@b.example", "FROM: c@d.example", "To: x", "to: y"],
            {"fail": ["duplicate:From", "duplicate:To"]},
            "Only one From header allowed. See RFC 5322, Section 3.6",
        ),
        ("duplicate_singular", ["Subject: x", " From: is the fold of it", "From: y"], {"pass": ["duplicate"]}, None),
        ("missing_required", ["From: a@b.example", "Date: x"], {"pass": ["missing"]}, None),
        ("missing_required", ["From: x"], {"fail": ["missing:Date"]}, "Required header 'Date' missing"),
        (
            "missing_required",
            ["To: x"],
            {"fail": ["missing:From", "missing:Date"]},
            "Required header 'From' missing",
        ),
        ("invalid_date", [f"Date: {days(0)}"], {"pass": ["invalid_date"]}, None),
        ("invalid_date", [f"Date: {days(1.9)}"], {"pass": ["invalid_date"]}, None),
        ("invalid_date", [f"Date: {days(-14.9)}"], {"pass": ["invalid_date"]}, None),
        ("invalid_date", ["From: x"], {}, None),
        (
            "invalid_date",
            [f"Date: {days(2.1)}"],
            {"fail": ["invalid_date(future)"]},
            "The Date header is too far in the future",
        ),
        (
            "invalid_date",
            [f"Date: {days(-15.1)}"],
            {"fail": ["invalid_date(past)"]},
            "The Date header is too old",
        ),
        *(
            ("invalid_date", [f"Date: {text}"], {"fail": ["invalid_date(unparseable)"]}, "The Date header could not be parsed")
            for text in ("yesterday", "", "Mon, 99 Foo 2020 99:99:99 +9999", "Thu, 26 Nov 99999999999 05:00:00 +0000", "1 " * 300)
        ),
        ("delivered_to", ["Delivered-To: carl@example.com"], {}, None),
        (
            "delivered_to",
            ["Delivered-To: x@example.com", "Delivered-To: <Bob@Example.com>"],
            {"fail": ["delivered_to"]},
            "Invalid Delivered-To header content",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reject", [False, True])
def test_what_a_message_must_be_like(check, fields, found, refusal, reject):
    answer, noted, _ = judged(only(check, reject), *fields)
    assert noted == found
    assert answer == ((DENY, refusal) if refusal and reject else None)


def test_the_limits_of_a_date_can_be_lifted():
    config = only("invalid_date", True, "date_past_days=0\ndate_future_days=0")
    for date in (days(9000), days(-9000)):
        assert judged(config, f"Date: {date}")[1] == {"pass": ["invalid_date"]}


def test_a_stranger_s_return_path_is_removed():
    answer, noted, transaction = judged(
        only("invalid_return_path", True), "Return-Path: <x@y.example>", "To: x"
    )
    assert answer is None and noted == {"pass": ["Return-Path"]}
    assert transaction.header.to_bytes() == b"To: x\r\n"


@pytest.mark.parametrize("reject", [False, True])
def test_our_own_client_s_return_path_is_a_mistake(reject):
    config = only("invalid_return_path", reject)
    client = make_connection(relaying=True)
    answer, noted, transaction = judged(config, "Return-Path: <x@y.example>", connection=client)
    assert noted == {"fail": ["Return-Path"]} and transaction.header.has("Return-Path")
    text = "outgoing mail must not have a Return-Path header (RFC 5321)"
    assert answer == ((DENY, text) if reject else None)


@pytest.mark.parametrize(
    ("check", "fields", "found"),
    [
        ("user_agent", ["X-Mailer: Roundcube Webmail/1.6"], {"pass": ["UA(Roundcube We)"]}),
        ("user_agent", ["From: x"], {"fail": ["UA"]}),
        ("direct_to_mx", ["From: x"], {"fail": ["direct-to-mx(none)"]}),
        ("direct_to_mx", ["Received: x"], {"fail": ["direct-to-mx(too few Received(1))"]}),
        ("direct_to_mx", ["Received: x", "received: y"], {"pass": ["direct-to-mx(2)"]}),
        ("mailing_list", ["From: x"], {"msg": ["not MLM"]}),
        ("mailing_list", ["Sender: owner-list@x.example"], {"pass": ["MLM(majordomo)"]}),
        ("mailing_list", ["Sender: anna@x.example"], {"msg": ["not MLM"]}),
        ("mailing_list", ["Mailing-List: contact x; run by EZMLM"], {"pass": ["MLM(ezmlm)"]}),
        (
            "mailing_list",
            ["X-Mailman-Version: 2.1", "X-Google-Loop: groups"],
            {"pass": ["MLM(mailman)", "MLM(googlegroups)"]},
        ),
        ("from_match", [f"From: Anna <{SENDER.upper()}>"], {"pass": ["from_match"]}),
        ("from_match", ["From: news@mail.client.example"], {"pass": ["from_match(domain)"]}),
        ("from_match", ["From: x@other.example"], {"fail": ["from_match(client.example / other.example)"]}),
        ("from_match", ["To: x"], {"fail": ["from_match(missing)"]}),
        ("from_match", ["From: "], {"fail": ["from_match(unparsable)"]}),
    ],
)
def test_what_a_header_tells(check, fields, found):
    answer, noted, _ = judged(only(check, reject=check not in ("user_agent",)), *fields)
    assert answer is None and noted == found


@pytest.mark.parametrize(
    "sender",
    [
        "{}",
        "<{}>",
        "Anna <{}>",
        "Anna\n <{}>",
        "Anna B. <{}> (at work)",
        '"Anna, <x@y.example>" <{}>',
        "{}, other@x.example",
        "=?utf-8?q?=C3=84nna?= <{}>",
        "Änna <{}>",
        "Anna <{}",
        "us: {}, other@x.example;",
    ],
)
def test_the_sender_is_the_first_address_of_from(sender):
    assert judged(only("from_match"), f"From: {sender.format(SENDER)}")[1] == {"pass": ["from_match"]}


def test_the_beginning_of_an_endless_header_is_looked_at():
    endless = [f"X-{number}: {'x' * 200}" for number in range(1000)]
    assert judged(only("missing_required"), "From: x", *endless, "Date: x")[1] == {"fail": ["missing:Date"]}


def test_a_bounce_comes_from_nobody():
    assert judged(only("from_match"), "From: x@y.example", mail_from="<>")[1] == {
        "fail": ["from_match(null)"]
    }


def test_who_logged_in_needs_no_other_server():
    client = make_connection(auth_user="anna")
    assert judged(only("direct_to_mx"), "From: x", connection=client)[1] == {"skip": ["direct-to-mx(auth)"]}


def test_what_else_says_that_the_domain_is_right():
    client = make_connection()
    client.results.add("fcrdns", {"fcrdns": ["mx.client.example"]})
    client.results.add("helo.checks", {"helo_host": "notclient.example"})
    noted = judged(only("from_match"), "From: news@mail.client.example", connection=client)[1]
    assert noted == {"pass": ["from_match(domain,fcrdns)"]}


@pytest.mark.parametrize(
    ("sender", "brand"),
    [
        ("PayPal <service@paypal.com>", ""),
        ("PayPal <service@mail.paypal.com>", ""),
        ("Pay Pal <x@bad.example>", ""),
        ("PayPal <service@paypal.com.bad.example>", "paypal"),
        ("=?utf-8?q?PayP=61l?= <x@bad.example>", "paypal"),
        ("C05TC0 <x@bad.example>", "costco"),
        ("Bank <x@bad.example>", "bank"),
        ("Apple <x@bad.example>", ""),
    ],
)
def test_a_name_that_is_not_the_sender_s(sender, brand):
    targets = "[phish_targets]\nbank=bank.com\napple=\n"
    answer, noted, _ = judged(only("from_phish", True, end=targets), f"From: {sender}")
    if not brand:
        assert answer is None and noted == {"pass": ["from_phish"]}
    else:
        assert noted["fail"] == [f"from_phish({brand})"]
        assert answer == (DENY, f"Phishing message appears to impersonate {brand}.com")


@pytest.mark.parametrize(
    ("host", "is_proof"), [("mx7.paypal.com", True), ("paypal.com", True), ("notpaypal.com", False)]
)
def test_the_client_s_name_may_prove_it(host, is_proof):
    client = make_connection()
    client.results.add("fcrdns", {"fcrdns": host})
    answer = judged(only("from_phish", True), "From: PayPal <x@news.example>", connection=client)[0]
    assert (answer is None) is is_proof


def test_what_is_off_is_not_looked_at():
    off = "".join(f"{name}=false\n" for name in CHECKS)
    answer, noted, _ = judged({"headers.ini": f"[check]\n{off}"}, "Delivered-To: bob@example.com")
    assert answer is None and noted is None


def test_as_shipped_only_mail_in_circles_is_refused():
    with MailServer("headers") as server:
        client = server.connect()
        assert client.send_mail(message="Subject: nothing else\n\nx\n").code == 250
        reply = client.send_mail(message="Delivered-To: bob@example.com\n\nx\n")
        assert str(reply) == "550 5.7.1 Invalid Delivered-To header content"


def test_the_file_is_followed():
    with MailServer("headers") as server:
        client = server.connect()
        assert client.send_mail(message="Subject: x\n\nx\n").code == 250
        server.configure({"headers.ini": "[reject]\nmissing_required=true\n"})
        assert (
            str(client.send_mail(message="Subject: x\n\nx\n")) == "550 5.7.1 Required header 'From' missing"
        )


def test_in_a_session_our_own_received_field_is_one_of_two(tmp_path):
    local = Local()
    ini = {"headers.ini": "[reject]\nduplicate_singular=true\n"}
    with inbound_with(tmp_path, ["headers"], ini, after=[local]) as inbound:
        client = Client(inbound.port)
        twice = b"From: a@b.example\r\nFrom: a@b.example\r\n\r\nx\r\n"
        refusal = "550 5.7.1 Only one From header allowed. See RFC 5322, Section 3.6"
        assert deliver(client, twice)[-1] == refusal
        good = b"Return-Path: <a@b.example>\r\nReceived: x\r\nFrom: a@b.example\r\n\r\nx\r\n"
        assert deliver(client, good)[-1].startswith("250 ")
        client.close()
    [(_, _, stored)] = local.mails
    assert b"Return-Path" not in stored and stored.count(b"\r\nReceived:") == 1


@pytest.mark.parametrize("old", ["data.headers", "data.rfc5322_header_checks"])
def test_the_names_of_earlier_releases_mean_it(tmp_path, old):
    [plugin] = plugins_of(tmp_path, [old], {}, logger_and_lines()[0])
    assert plugin.name == "headers"


def test_keys_of_haraka_that_mean_nothing_are_told(tmp_path):
    problems: list[str] = []
    files = {
        "headers.ini": "[reject]\nuser_agent=true\n[phish_domains]\npaypal.com=1\n",
        "data.headers.ini": "[main]\n",
    }
    config = config_of(tmp_path, files, problems)
    config.get("headers.ini")
    config.survey()
    assert ["user_agent" in problems[0], "phish_targets" in problems[1], "data.headers" in problems[2]] == [
        True
    ] * 3
