"""Reports over a real relay: what the client said in MAIL and RCPT decides who hears what, and readers understand it."""

from __future__ import annotations

import email

from flufl.bounce import all_failures

from tests.endtoend.conftest import RelayTo
from tests.support.client import RawClient
from tests.support.server import eventually
from tests.support.sink import RecordingSink

SENDER = "sender@example.test"
MESSAGE = (
    b"From: <sender@example.test>\r\nTo: someone\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-Id: <1@client.test>\r\n\r\nfirst\r\n.dotted\r\nlast\r\n"
)


def send(client: RawClient, params: str, rcpts: dict[str, str]) -> None:
    assert client.command(f"MAIL FROM:<{SENDER}>{params}").startswith("250 ")
    for rcpt, rcpt_params in rcpts.items():
        assert client.command(f"RCPT TO:<{rcpt}>{rcpt_params}").startswith("250 ")
    assert client.command("DATA").startswith("354")
    client.write(MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    assert client.read().startswith("250")


def test_each_recipient_is_reported_as_the_sender_wished(relay_to: RelayTo) -> None:
    def script(stage: str, address: str, _attempt: int) -> str | None:
        return "550 5.1.1 no such user" if stage == "rcpt" and address.startswith("no") else None

    with RecordingSink(script) as sink:
        relay = relay_to(sink.port)
        with RawClient(relay.port) as client:
            send(
                client,
                " RET=FULL ENVID=QQ+2B1",
                {
                    "no1@example.com": " ORCPT=rfc822;no1@old.test",
                    "no2@example.com": " NOTIFY=NEVER",
                    "yes1@example.com": " NOTIFY=SUCCESS,FAILURE",
                    "yes2@example.com": "",
                },
            )
        assert eventually(lambda: sum(SENDER in got.rcpts for got in sink.messages) == 2)
        assert relay.wait_until_idle()
        reports = [email.message_from_bytes(got.data) for got in sink.messages if SENDER in got.rcpts]
        told = {}
        for report in reports:
            about, *blocks = report.get_payload(1).get_payload()
            assert about["Original-Envelope-Id"] == "QQ+1"
            told.update({block["Action"]: [block["Final-Recipient"], block["Status"]] for block in blocks})
        assert told == {
            "failed": ["rfc822; no1@example.com", "5.1.1"],
            "relayed": ["rfc822; yes1@example.com", "2.0.0"],
        }
        (bounce,) = [report for report in reports if report["Subject"] == "failure notice"]
        assert all_failures(bounce)[1] == {b"no1@old.test"}
        whole = bounce.get_payload(2)
        assert whole.get_content_type() == "message/rfc822"
        assert whole.get_payload(0).get_payload() == "first\r\n.dotted\r\nlast\r\n"
        assert "Grüße" in bounce.get_payload(0).get_payload(decode=True).decode()
        assert eventually(lambda: "category=no-such-user" in relay.log)
        assert len(sink.messages) == 3


def test_a_sender_outside_ascii_gets_an_internationalised_report(relay_to: RelayTo) -> None:
    sender, rcpt = "jürgen@example.test", "δοκιμή@example.com"
    with RecordingSink(lambda stage, address, _: "550 5.1.1 άγνωστος" if address == rcpt else None) as sink:
        relay = relay_to(sink.port)
        with RawClient(relay.port) as client:
            assert client.command(f"MAIL FROM:<{sender}> SMTPUTF8 RET=HDRS").startswith("250 ")
            assert client.command(f"RCPT TO:<{rcpt}> ORCPT=utf-8;παλιά@old.test").startswith("250 ")
            assert client.command("DATA").startswith("354")
            client.write("Subject: Grüße\r\n\r\nbody\r\n.\r\n".encode())
            assert client.read().startswith("250")
        got = sink.wait_for_rcpt(sender)
        assert "SMTPUTF8" in got.mail_params
        for line in (
            "To: jürgen@example.test",
            "Content-Type: message/global-delivery-status",
            "Original-Recipient: utf-8; παλιά@old.test",
            f"Final-Recipient: utf-8; {rcpt}",
            "Diagnostic-Code: smtp; 550 5.1.1 άγνωστος",
            "Content-Type: message/global-headers",
            "Subject: Grüße",
        ):
            assert f"\r\n{line}\r\n".encode() in got.data, line
        assert relay.wait_until_idle()


def test_html_and_picture_from_the_operator_s_files(relay_to: RelayTo) -> None:
    config = {
        "outbound.bounce_message_html": "<p>{subject}: {recipients}</p>\n",
        "outbound.bounce_message_image": "Content-Type: image/gif\nContent-ID: <logo>\n\nGIF89a\n",
    }
    with RecordingSink(lambda stage, address, _: "550 no" if address == "no@example.com" else None) as sink:
        relay = relay_to(sink.port, config=config)
        with RawClient(relay.port) as client:
            send(client, "", {"no@example.com": ""})
        parsed = email.message_from_bytes(sink.wait_for_rcpt(SENDER).data)
        kinds = [part.get_content_type() for part in parsed.walk()]
        assert kinds[:6] == [
            "multipart/report",
            "multipart/related",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "image/gif",
        ]
        html = parsed.get_payload(0).get_payload(0).get_payload(1).get_payload(decode=True).decode()
        assert html.strip() == "<p>Grüße: &lt;no@example.com&gt;</p>"
        assert relay.wait_until_idle()
