"""What EHLO offers, what MAIL and RCPT may then say, and what is kept of it."""

import re
import smtplib
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from mta.config import Config
from mta.config.schema import ConnectionSettings, ExtensionSettings
from mta.connection import Connection, Endpoint
from mta.inbound.extensions import keywords, offered
from mta.logger import Logger
from mta.paths import ETC
from mta.plugin.hooks import Plugin
from mta.smtp.parameters import parse_date_time
from mta.smtp.reply import Reply
from mta.transaction import Transaction
from tests.support.service import Client, Inbound, Local


class Relaying(Plugin):
    name = "relaying"

    def hook_connect(self, connection):
        connection.relaying = True


class Tls(Plugin):
    """Makes the session look encrypted."""

    name = "looks-encrypted"

    def hook_connect(self, connection):
        connection.tls.enabled = True


class Kept:
    """Stands for the queue: keeps the transactions."""

    def __init__(self) -> None:
        self.mails: list[Transaction] = []

    def __call__(self, transaction: Transaction) -> Reply:
        self.mails.append(transaction)
        return Reply(250, "Message Queued", "2.0.0")


def connection(relaying: bool = False, tls: bool = False, port: int = 25) -> Connection:
    made = Connection(Logger(), Endpoint("192.0.2.1", 40000), Endpoint("192.0.2.2", port))
    made.relaying, made.tls.enabled, made.esmtp = relaying, tls, True
    return made


def settings(max_messages: int = 0, smtputf8: bool = True, **extensions: object) -> ConnectionSettings:
    return replace(
        ConnectionSettings(),
        max_messages=max_messages,
        smtputf8=smtputf8,
        extensions=replace(ExtensionSettings(), **extensions),
    )


ALWAYS = ["8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 26214400"]
OFF = {each.name: False for each in fields(ExtensionSettings) if each.type == "bool"}


def test_order() -> None:
    lines = offered(connection(relaying=True, tls=True), settings(max_messages=50))
    assert re.fullmatch(r"FUTURERELEASE 2592000 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines.pop(10))
    assert lines == [
        "PIPELINING",
        *ALWAYS,
        "SMTPUTF8",
        "CHUNKING",
        "BINARYMIME",
        "DSN",
        "REQUIRETLS",
        "DELIVERBY",
        "MT-PRIORITY",
        "LIMITS MAILMAX=50 RCPTMAX=10000",
        "ETRN",
        "VRFY",
        "HELP",
    ]


def test_everything_can_be_switched_off() -> None:
    assert offered(connection(relaying=True, tls=True), settings(smtputf8=False, **OFF)) == ALWAYS


@pytest.mark.parametrize("name", sorted(OFF))
def test_each_can_be_switched_off_alone(name: str) -> None:
    everything = {line.split()[0] for line in offered(connection(True, True), settings())}
    left = {line.split()[0] for line in offered(connection(True, True), settings(**{name: False}))}
    gone = {"CHUNKING", "BINARYMIME"} if name == "chunking" else {name.upper().replace("_", "-")}
    assert everything - left == gone


@pytest.mark.parametrize(
    ("made", "keyword", "there"),
    [
        (connection(), "REQUIRETLS", False),
        (connection(tls=True), "REQUIRETLS", True),
        (connection(), "FUTURERELEASE", False),
        (connection(port=587), "FUTURERELEASE", True),
        (connection(port=465), "FUTURERELEASE", True),
        (connection(relaying=True), "FUTURERELEASE", True),
    ],
)
def test_offered_where_it_makes_sense(made: Connection, keyword: str, there: bool) -> None:
    made.capabilities = offered(made, settings())
    assert (keyword in keywords(made)) is there


def test_the_date_of_futurerelease_is_the_interval_ahead() -> None:
    lines = offered(connection(relaying=True), settings(futurerelease_max=600))
    _, interval, moment = next(line for line in lines if line.startswith("FUTURERELEASE")).split()
    assert interval == "600"
    assert abs(parse_date_time(moment) - time.time() - 600) < 5


def test_nothing_is_offered_after_helo() -> None:
    made = connection()
    made.capabilities = ["SIZE 1", "XFOO bar"]
    assert keywords(made) == {"SIZE", "XFOO"}
    made.esmtp = False
    assert keywords(made) == frozenset()


def test_the_switches_are_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "connection.ini").write_text("[extensions]\nchunking=off\nfuturerelease_max=60\n")
    problems: list[object] = []
    read = Config(tmp_path, ETC, problems.append).settings(ConnectionSettings)
    assert problems == []
    assert read.extensions == replace(ExtensionSettings(), chunking=False, futurerelease_max=60)


# -- in a session


def hello(client: Client) -> Client:
    client.ask("EHLO client.test")
    return client


def test_the_reply_to_ehlo() -> None:
    with Inbound([Local()]) as inbound:
        lines = inbound.client().ask("EHLO client.test").splitlines()
    assert lines[0] == "250-mx.example.test Hello localhost [127.0.0.1], Haraka is at your service."
    assert [line[4:] for line in lines[1:]] == offered(connection(), ConnectionSettings())


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("MAIL FROM:<a@example.org> RET=FULL ENVID=x", "250 2.1.0 sender <a@example.org> OK"),
        ("MAIL FROM:<a@example.org> RET=HALF", "501 5.5.4 Invalid value of parameter RET"),
        ("MAIL FROM:<a@example.org> RET=FULL RET=FULL", "501-5.5.4 Command parsing failed\n501 5.5.4 Error: Repeated parameter RET"),
        ("MAIL FROM:<a@example.org> REQUIRETLS", "555 5.5.4 Unsupported MAIL parameter REQUIRETLS"),
        ("MAIL FROM:<a@example.org> HOLDFOR=60", "555 5.5.4 Unsupported MAIL parameter HOLDFOR"),
        ("MAIL FROM:<a@example.org> CHUNKING", "555 5.5.4 Unsupported MAIL parameter CHUNKING"),
        ("MAIL FROM:<a@example.org> NOTIFY=NEVER", "555 5.5.4 Unsupported MAIL parameter NOTIFY"),
        ("MAIL FROM:<a@example.org> BY=60;R MT-PRIORITY=-3", "250 2.1.0 sender <a@example.org> OK"),
        (
            "MAIL FROM:<a@example.org> MT-PRIORITY=3",
            "250 2.3.6 sender <a@example.org> OK, 0 is the new priority assigned to the message",
        ),
        ("ETRN example.com", "459 4.7.1 Node example.com not allowed"),
        ("ETRN", "501 5.5.4 Syntax error"),
        ("VRFY joe", "252 2.5.0 Just try sending a mail and we'll see how it turns out..."),
        ("HELP", "214 2.0.0 Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP"),
    ],
)  # fmt: skip
def test_answers(command: str, expected: str) -> None:
    with Inbound([Local()]) as inbound:
        assert hello(inbound.client()).ask(command).startswith(expected)


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("dsn", "MAIL FROM:<a@example.org> RET=FULL", "555 5.5.4 Unsupported MAIL parameter RET"),
        ("deliverby", "MAIL FROM:<a@example.org> BY=60;R", "555 5.5.4 Unsupported MAIL parameter BY"),
        (
            "mt_priority",
            "MAIL FROM:<a@example.org> MT-PRIORITY=0",
            "555 5.5.4 Unsupported MAIL parameter MT-PRIORITY",
        ),
        (
            "futurerelease",
            "MAIL FROM:<a@example.org> HOLDFOR=60",
            "555 5.5.4 Unsupported MAIL parameter HOLDFOR",
        ),
        (
            "requiretls",
            "MAIL FROM:<a@example.org> REQUIRETLS",
            "555 5.5.4 Unsupported MAIL parameter REQUIRETLS",
        ),
        (
            "binarymime",
            "MAIL FROM:<a@example.org> BODY=BINARYMIME",
            "501 5.5.4 Invalid value of parameter BODY",
        ),
        ("chunking", "BDAT 0", "503 5.5.1 MAIL required first"),
        ("vrfy", "VRFY joe", "502 5.5.1 Command not implemented"),
        ("help", "HELP", "502 5.5.1 Command not implemented"),
        ("etrn", "ETRN example.com", "500 5.5.1 Unrecognized command"),
    ],
)
def test_answers_when_switched_off(name: str, command: str, expected: str) -> None:
    extensions = replace(ExtensionSettings(), **{name: False})
    with Inbound([Local(), Relaying(), Tls()], extensions=extensions) as inbound:
        assert hello(inbound.client()).ask(command) == expected


def test_etrn_for_a_client_that_may_relay() -> None:
    with Inbound([Relaying()]) as inbound:
        client = hello(inbound.client())
        assert client.ask("ETRN example.com").startswith(
            "458 4.3.0 Unable to queue messages for node example.com"
        )
        client.ask("MAIL FROM:<a@example.org>")
        assert client.ask("ETRN example.com") == "503 5.5.1 ETRN not permitted during a mail transaction"


def test_parameters_are_kept_on_the_transaction() -> None:
    kept = Kept()
    with Inbound([Relaying(), Tls()], submit=kept) as inbound:
        client = hello(inbound.client())
        client.ask("MAIL FROM:<a@example.org> SIZE=10 RET=HDRS ENVID=QQ+2B1 REQUIRETLS BY=60;N MT-PRIORITY=4")
        client.ask("RCPT TO:<b@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;joe@example.com")
        client.ask("RCPT TO:<c@example.com>")
        client.ask("DATA")
        client.ask("A: b\r\n\r\n.")
    (mail,) = kept.mails
    assert mail.params == {
        "SIZE": "10", "RET": "HDRS", "ENVID": "QQ+2B1", "REQUIRETLS": None, "BY": "60;N", "MT-PRIORITY": "4",
    }  # fmt: skip
    assert {str(rcpt): params for rcpt, params in mail.rcpt_params.items()} == {
        "<b@example.com>": {"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;joe@example.com"}
    }
    assert mail.hold_until is None


def test_a_refused_recipient_leaves_no_parameters() -> None:
    class Look(Plugin):
        name = "look"

        def hook_data(self, connection):
            seen.append(dict(connection.transaction.rcpt_params))

    seen: list[object] = []
    with Inbound([Local(), Look()]) as inbound:
        client = hello(inbound.client())
        client.ask("MAIL FROM:<a@example.org>")
        assert client.ask("RCPT TO:<b@elsewhere.test> NOTIFY=NEVER").startswith("550 ")
        client.ask("RCPT TO:<b@example.com>")
        client.ask("DATA")
    assert seen == [{}]


def test_a_priority_that_nobody_granted_is_lowered() -> None:
    class Look(Plugin):
        name = "look"

        def hook_rcpt(self, connection, rcpt, params):
            seen.append(connection.transaction.params["MT-PRIORITY"])

    seen: list[object] = []
    with Inbound([Look(), Local()]) as inbound:
        client = hello(inbound.client())
        for priority in ("9", "0", "-2"):
            client.ask(f"MAIL FROM:<a@example.org> MT-PRIORITY={priority}")
            client.ask("RCPT TO:<b@example.com>")
            client.ask("RSET")
    assert seen == ["0", "0", "-2"]


# -- FUTURERELEASE


def test_hold_for() -> None:
    kept = Kept()
    with Inbound([Relaying()], submit=kept) as inbound:
        client = hello(inbound.client())
        reply = client.ask("MAIL FROM:<a@example.org> HOLDFOR=3600")
        moment = re.fullmatch(r"250 2\.1\.0 sender <a@example\.org> OK, held until (\S+Z)", reply)
        assert moment, reply
        client.ask("RCPT TO:<b@example.com>")
        client.ask("DATA")
        assert client.ask("A: b\r\n\r\n.").startswith("250 ")
    held = kept.mails[0].hold_until
    assert held is not None
    assert abs(held - time.time() - 3600) < 5
    assert abs(parse_date_time(moment[1]) - held) <= 1


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("HOLDUNTIL=2001-01-01T00:00:00Z", "250 2.1.0 sender <a@example.org> OK"),
        ("HOLDFOR=3601", "501 5.5.4 A mail can be held for 3600 seconds at most"),
        ("HOLDUNTIL=2999-01-01T00:00:00Z", "501 5.5.4 A mail can be held for 3600 seconds at most"),
        ("HOLDFOR=1 HOLDUNTIL=2999-01-01T00:00:00Z", "501 5.5.4 HOLDFOR and HOLDUNTIL exclude each other"),
    ],
)
def test_hold_limits(parameters: str, expected: str) -> None:
    extensions = replace(ExtensionSettings(), futurerelease_max=3600)
    with Inbound([Relaying()], extensions=extensions) as inbound:
        assert hello(inbound.client()).ask(f"MAIL FROM:<a@example.org> {parameters}") == expected


def test_who_may_not_relay_may_not_hold() -> None:
    class Offer(Plugin):
        name = "offer"

        def hook_capabilities(self, connection):
            connection.capabilities.append("FUTURERELEASE 60 2030-01-01T00:00:00Z")

    with Inbound([Offer(), Local()]) as inbound:
        reply = hello(inbound.client()).ask("MAIL FROM:<a@example.org> HOLDFOR=60")
    assert reply == "550 5.7.1 Only clients that may relay can have mail held"


# -- LIMITS, and lines with long parameters


def test_the_limits_are_true() -> None:
    with Inbound([Local()], max_recipients=100, max_messages=2) as inbound:
        client = inbound.client()
        assert "LIMITS MAILMAX=2 RCPTMAX=100" in client.ask("EHLO client.test")
        client.ask("MAIL FROM:<a@example.org>")
        replies = [client.ask(f"RCPT TO:<r{number}@example.com>")[:3] for number in range(101)]
        assert replies == ["250"] * 100 + ["452"]
        client.ask("RSET")
        assert client.ask("MAIL FROM:<a@example.org>").startswith("250 ")
        client.ask("RSET")
        assert client.ask("MAIL FROM:<a@example.org>") == "421 4.7.0 Too many messages in one session"
        assert client.read() == ""


def test_the_longest_orcpt_fits_into_a_command() -> None:
    orcpt = f"ORCPT=rfc822;{'x' * 493}"
    long_rcpt = f"RCPT TO:<{'u' * 64}@{'d' * 60}.{'d' * 60}.example.com> NOTIFY=SUCCESS,FAILURE,DELAY {orcpt}"
    with Inbound([Local()]) as inbound:
        client = hello(inbound.client())
        client.ask("MAIL FROM:<a@example.org>")
        assert client.ask(f"RCPT TO:<b@example.com> {orcpt}").startswith("250 ")
        assert client.ask(long_rcpt).startswith("550 5.7.1 I cannot deliver")
        assert client.ask(f"NOOP {'x' * 600}") == "521 5.5.2 Command line too long"


def test_no_room_for_parameters_after_helo() -> None:
    with Inbound([Local()]) as inbound:
        client = inbound.client()
        client.ask("HELO client.test")
        assert client.ask(f"MAIL FROM:<a@example.org> {'x' * 600}") == "521 5.5.2 Command line too long"


# -- a client that is not ours


def test_smtplib_sends_options() -> None:
    kept = Kept()
    with Inbound([Relaying()], submit=kept) as inbound, smtplib.SMTP("127.0.0.1", inbound.port) as client:
        client.ehlo("client.test")
        assert all(
            client.has_extn(name)
            for name in ("dsn", "chunking", "binarymime", "futurerelease", "mt-priority")
        )
        refused = client.sendmail(
            "a@example.org",
            ["b@example.com"],
            b"Subject: x\r\n\r\nbody\r\n",
            mail_options=["RET=HDRS", "ENVID=1", "BODY=8BITMIME"],
            rcpt_options=["NOTIFY=NEVER"],
        )
        assert refused == {}
        assert client.verify("joe")[0] == 252
        assert client.docmd("HELP")[0] == 214
        assert client.help().startswith(b"2.0.0 Commands: HELO")
        # What smtplib does not know by itself: the message by BDAT.
        client.mail("a@example.org", ["BODY=BINARYMIME"])
        client.rcpt("b@example.com")
        client.send(b"BDAT 20 LAST\r\nSubject: x\r\n\r\n\0\1\2\3\4\n")
        assert client.getreply()[0] == 250
    text, binary = kept.mails
    assert text.params["RET"] == "HDRS"
    assert list(text.rcpt_params.values()) == [{"NOTIFY": "NEVER"}]
    assert binary.header.get("Content-Transfer-Encoding") == "base64"
