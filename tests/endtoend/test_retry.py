"""4xx is retried, 5xx comes back to the sender as a delivery report, and each recipient has its own outcome."""

from __future__ import annotations

import email
import email.policy
import time
from email.message import EmailMessage

from tests.endtoend.conftest import RelayTo
from tests.support.client import RawClient
from tests.support.server import eventually
from tests.support.sink import Received, RecordingSink, Script

SENDER = "sender@example.test"
INTERVAL = 5.0  # the shortest that temp_fail_intervals allows, seconds


def message(subject: str) -> bytes:
    return (
        f"From: <{SENDER}>\r\nTo: someone\r\nSubject: {subject}\r\nMessage-Id: <{subject}@client.test>\r\n\r\nbody\r\n"
    ).encode()


def answers(table: dict[tuple[str, str], tuple[str, int]]) -> Script:
    """Return a script: (stage, address) -> (reply, for how many attempts)."""

    def script(stage: str, address: str, attempt: int) -> str | None:
        reply, times = table.get((stage, address), ("", 0))
        return reply if attempt <= times else None

    return script


def report(
    bounce: Received, sender: str = SENDER
) -> tuple[EmailMessage, EmailMessage, list[EmailMessage], EmailMessage]:
    """Check what every delivery report must be (RFC 3464, RFC 6522): its header, the fields for the message, those for each recipient, the returned header."""
    assert bounce.mail_from == ""
    assert bounce.rcpts == (sender,)
    parsed = email.message_from_bytes(bounce.data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed["Content-Type"].params["report-type"] == "delivery-status"
    assert parsed["MIME-Version"] == "1.0"
    assert sender in parsed["To"]
    assert parsed["Auto-Submitted"].startswith("auto-")
    assert parsed["From"] and parsed["Subject"] and parsed["Date"] and parsed["Message-Id"]
    for part in parsed.walk():
        assert not part.defects, (part.get_content_type(), part.defects)
    text, status, returned = parsed.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert status.get_content_type() == "message/delivery-status"
    assert returned.get_content_type() in ("text/rfc822-headers", "message/rfc822")
    per_message, *per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"].replace(" ", "") == "dns;relay.test"
    return parsed, per_message, per_recipient, returned


def final_recipient(fields: EmailMessage) -> str:
    kind, _, address = fields["Final-Recipient"].partition(";")
    assert kind == "rfc822"
    return address.strip()


def test_a_soft_failure_at_any_stage_is_retried(relay_to: RelayTo) -> None:
    """Refuse the first attempt of three messages at RCPT, at the final dot and at MAIL."""
    table = {
        ("rcpt", "rcpt@one.example.com"): ("451 4.3.0 later", 1),
        ("dot", "dot@two.example.com"): ("452 4.3.1 no room", 1),
        ("mail", "mail@example.test"): ("451 4.7.1 not now", 1),
    }
    with RecordingSink(answers(table)) as sink:
        relay = relay_to(sink.port)
        mail = {
            "rcpt@one.example.com": SENDER,
            "dot@two.example.com": SENDER,
            "mail@three.example.com": "mail@example.test",
        }
        with RawClient(relay.port) as client:
            for rcpt, sender in mail.items():
                assert client.send(sender, rcpt, message(rcpt.partition("@")[0])).startswith("250")
        sent = time.monotonic()
        assert eventually(lambda: len(relay.waiting()) == len(mail) and relay.deferred(), 3)
        assert not sink.messages
        first = {rcpt: sink.wait_for_rcpt(rcpt, 20) for rcpt in mail}
        assert relay.wait_until_idle()
        assert len(sink.messages) == len(mail)
        assert min(got.when - sent for got in first.values()) > INTERVAL - 0.5
        assert sink.attempts["rcpt", "rcpt@one.example.com"] == 2


def test_sighup_flushes_the_queue(relay_to: RelayTo) -> None:
    with RecordingSink(answers({("rcpt", "rcpt@example.com"): ("451 4.3.0 later", 1)})) as sink:
        relay = relay_to(sink.port, retries="1h")
        with RawClient(relay.port) as client:
            assert client.send(SENDER, "rcpt@example.com", message("flush")).startswith("250")
        assert eventually(relay.deferred)
        relay.flush()
        sink.wait_for_rcpt("rcpt@example.com", 4)
        assert relay.wait_until_idle()


def test_a_refused_connection_is_retried(relay_to: RelayTo) -> None:
    with RecordingSink(
        lambda stage, _, attempt: "421 busy" if (stage, attempt) == ("connect", 1) else None
    ) as sink:
        relay = relay_to(sink.port)
        with RawClient(relay.port) as client:
            assert client.send(SENDER, "rcpt@example.com", message("busy")).startswith("250")
        assert eventually(lambda: sink.attempts["connect", "127.0.0.1"] >= 1, 3)
        assert eventually(relay.deferred)
        assert not sink.messages
        relay.flush()
        sink.wait_for_rcpt("rcpt@example.com")
        assert relay.wait_until_idle()


def test_a_hard_failure_comes_back_as_a_report(relay_to: RelayTo) -> None:
    table = {
        ("rcpt", "unknown@example.com"): ("550 5.1.1 no such user here", 9),
        ("dot", "content@example.com"): ("554 5.7.1 content refused", 9),
    }
    with RecordingSink(answers(table)) as sink:
        relay = relay_to(sink.port)
        with RawClient(relay.port) as client:
            assert client.send("one@example.test", "unknown@example.com", message("unknown")).startswith(
                "250"
            )
            assert client.send("two@example.test", "content@example.com", message("content")).startswith(
                "250"
            )
        for sender, rcpt, status, text in (
            ("one@example.test", "unknown@example.com", "5.1.1", "no such user here"),
            ("two@example.test", "content@example.com", "5.7.1", "content refused"),
        ):
            _, _, [failed], returned = report(sink.wait_for_rcpt(sender), sender)
            assert final_recipient(failed) == rcpt
            assert failed["Action"] == "failed"
            assert failed["Status"].split()[0] == status
            assert failed["Diagnostic-Code"].startswith("smtp;")
            assert text in failed["Diagnostic-Code"]
            assert rcpt.partition("@")[0] in str(returned)
        assert relay.wait_until_idle()
        assert len(sink.messages) == 2


def test_recipients_of_one_domain_fare_each_for_itself(relay_to: RelayTo) -> None:
    table = {
        ("rcpt", "never@example.com"): ("550 5.1.1 unknown", 9),
        ("rcpt", "later@example.com"): ("450 4.2.1 later", 1),
    }
    with RecordingSink(answers(table)) as sink:
        relay = relay_to(sink.port)
        rcpts = ["ok1@example.com", "never@example.com", "later@example.com", "ok2@example.com"]
        with RawClient(relay.port) as client:
            assert client.send(SENDER, rcpts, message("mixed")).startswith("250")
        assert sink.wait_for_rcpt("ok1@example.com").rcpts == ("ok1@example.com", "ok2@example.com")
        _, _, [failed], _ = report(sink.wait_for_rcpt(SENDER))
        assert final_recipient(failed) == "never@example.com"
        assert eventually(lambda: len(relay.waiting()) == 1 and relay.deferred())
        relay.flush()
        assert sink.wait_for_rcpt("later@example.com").rcpts == ("later@example.com",)
        assert relay.wait_until_idle()
        assert len(sink.messages) == 3


def test_the_last_soft_failure_comes_back_as_a_report(relay_to: RelayTo) -> None:
    with RecordingSink(answers({("rcpt", "full@example.com"): ("452 4.2.2 mailbox full", 9)})) as sink:
        relay = relay_to(sink.port, retries="none")
        with RawClient(relay.port) as client:
            assert client.send(SENDER, "full@example.com", message("full")).startswith("250")
        _, _, [failed], _ = report(sink.wait_for_rcpt(SENDER))
        assert failed["Action"] == "failed"
        assert "mailbox full" in failed["Diagnostic-Code"]
        assert relay.wait_until_idle()


def test_a_report_that_cannot_be_delivered_ends_there(relay_to: RelayTo) -> None:
    with RecordingSink(
        lambda stage, _address, _attempt: "550 5.1.1 unknown" if stage == "rcpt" else None
    ) as sink:
        relay = relay_to(sink.port)
        with RawClient(relay.port) as client:
            assert client.send("", "a@example.com", message("null")).startswith("250")
            assert client.send(SENDER, "b@example.com", message("bounced")).startswith("250")
        assert eventually(lambda: sink.attempts["rcpt", SENDER] == 1)
        assert relay.wait_until_idle()
        assert sink.attempts == {
            **{key: count for key, count in sink.attempts.items() if key[0] != "rcpt"},
            ("rcpt", "a@example.com"): 1,
            ("rcpt", "b@example.com"): 1,
            ("rcpt", SENDER): 1,
        }
        assert not sink.messages
