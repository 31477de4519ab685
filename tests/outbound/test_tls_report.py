"""Reports about TLS: what is counted, what a report looks like, and that it arrives by mail and by HTTPS."""

from __future__ import annotations

import email
import gzip
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from mta.logger import INFO, Logger
from mta.net.dns import Resolver
from mta.outbound.tls_diary import TlsDiary
from mta.outbound.tls_report import Sender, TlsReport, content, targets
from mta.outbound.tls_report_mail import message
from mta.outbound.tls_reporter import TlsReporter
from mta.outbound.tls_result import TlsResult
from mta.outbound.tls_tally import MAX_DOMAINS, MAX_FAILURES, MAX_POLICIES, TlsTally
from mta.smtp.reply import Reply
from tests.support.dns_server import SERVFAIL, DnsServer

SENDER = Sender("Example Inc", "relay.test", "tls@relay.test")
DAY = date(2026, 11, 24)


def result(domain: str = "b.test", failed: str | None = None, **changes: object) -> TlsResult:
    values = {
        "domain": domain,
        "policy_type": "sts",
        "policy_strings": ("version: STSv1", "mode: enforce", "mx: *.b.test"),
        "policy_domain": domain,
        "mx_patterns": ("*.b.test",),
        "result_type": failed,
        "receiving_mx": "mx.b.test",
        "receiving_ip": "192.0.2.1",
        "failure_reason": "" if failed is None else "certificate has expired",
    }
    return TlsResult(**{**values, **changes})


def tally(*results: TlsResult) -> TlsTally:
    made = TlsTally()
    for each in results:
        made.add(each)
    return made


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (["v=TLSRPTv1; rua=mailto:tls@b.test"], ["mailto:tls@b.test"]),
        (
            ["v=TLSRPTv1;rua=mailto:a@b.test,https://b.test/r?x=1"],
            ["mailto:a@b.test", "https://b.test/r?x=1"],
        ),
        (["spf", "v=TLSRPTv1; rua=https://b.test/r;"], ["https://b.test/r"]),
        (["v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:b@b.test"], []),
        (["v=TLSRPTv2; rua=mailto:a@b.test"], []),
        (["v=TLSRPTv1"], []),
        (["v=TLSRPTv1; rua=http://b.test/,ftp://b.test/,mailto:nobody,https:///x"], []),
        (
            [f"v=TLSRPTv1; rua={','.join(f'mailto:m{n}@b.test' for n in range(9))}"],
            [f"mailto:m{n}@b.test" for n in range(4)],
        ),
        (["v=TLSRPTv1; rua=https://[::bad/"], []),
        ([], []),
    ],
)
def test_who_wants_reports(records: list[str], expected: list[str]) -> None:
    assert targets(records) == expected


def test_content_of_a_report() -> None:
    counted = tally(
        result(),
        result(),
        result(failed="certificate-expired"),
        result(failed="certificate-expired"),
        result(failed="starttls-not-supported", failure_reason="", receiving_ip=""),
    )
    tree = json.loads(
        gzip.decompress(
            content(TlsReport("b.test", DAY, "id@relay.test", counted.policies("b.test")), SENDER)
        )
    )
    assert tree == {
        "organization-name": "Example Inc",
        "date-range": {"start-datetime": "2026-11-24T00:00:00Z", "end-datetime": "2026-11-24T23:59:59Z"},
        "contact-info": "tls@relay.test",
        "report-id": "id@relay.test",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: enforce", "mx: *.b.test"],
                    "policy-domain": "b.test",
                    "mx-host": ["*.b.test"],
                },
                "summary": {"total-successful-session-count": 2, "total-failure-session-count": 3},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "receiving-mx-hostname": "mx.b.test",
                        "receiving-ip": "192.0.2.1",
                        "failed-session-count": 2,
                        "failure-reason-code": "certificate has expired",
                    },
                    {
                        "result-type": "starttls-not-supported",
                        "receiving-mx-hostname": "mx.b.test",
                        "failed-session-count": 1,
                    },
                ],
            }
        ],
    }


def test_a_report_as_a_mail() -> None:
    report = TlsReport("b.test", DAY, "some-id@relay.test", tally(result()).policies("b.test"))
    mail = email.message_from_bytes(
        message(report, SENDER, ["a@b.test"], datetime(2026, 11, 25, 1, tzinfo=UTC))
    )
    assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt"
    assert (
        " ".join(mail["Subject"].split())
        == "Report Domain: b.test Submitter: relay.test Report-ID: <some-id@relay.test>"
    )
    assert (mail["TLS-Report-Domain"], mail["TLS-Report-Submitter"]) == ("b.test", "relay.test")
    assert (mail["TLS-Required"], mail["From"], mail["To"]) == ("No", "tls@relay.test", "a@b.test")
    text, attachment = mail.get_payload()
    assert text.get_content_type() == "text/plain"
    assert attachment.get_content_type() == "application/tlsrpt+gzip"
    assert attachment.get_filename() == "relay.test!b.test!1795478400!1795564799!some-id.json.gz"
    assert (
        json.loads(gzip.decompress(attachment.get_payload(decode=True)))["report-id"] == "some-id@relay.test"
    )


def test_what_strangers_can_make_grow_has_a_limit() -> None:
    counted = tally(
        *(result(f"d{n}.test") for n in range(MAX_DOMAINS + 5)),
        *(result("d0.test", policy_domain=f"p{n}.test") for n in range(MAX_POLICIES + 5)),
        *(
            result("d1.test", "validation-failure", failure_reason=f"r{n}" + "x" * 9999)
            for n in range(MAX_FAILURES + 50)
        ),
    )
    assert len(counted) == MAX_DOMAINS
    assert len(counted.policies("d0.test")) == MAX_POLICIES
    (policy,) = counted.policies("d1.test").values()
    assert len(policy.failures) <= MAX_FAILURES + 1
    assert sum(policy.failures.values()) == MAX_FAILURES + 50


def test_days_are_kept_on_disk(tmp_path: Path) -> None:
    diary = TlsDiary(tmp_path / "tls-rpt")
    assert list(diary.days()) == []
    counted = tally(result(), result(failed="certificate-expired"))
    diary.write(DAY, counted)
    assert list(diary.days()) == [DAY]
    assert diary.read(DAY).to_json() == counted.to_json() != {}
    (tmp_path / "tls-rpt" / f"{DAY}.json").write_text('{"b.test": [{"policy": 1}]}')
    assert len(diary.read(DAY)) == 0
    diary.remove(DAY)
    diary.remove(DAY)
    assert list(diary.days()) == []


class Inbox(HTTPServer):
    """Takes reports over HTTPS on loopback."""

    def __init__(self, authority: trustme.CA) -> None:
        self.posts: list[tuple[str, str, bytes]] = []
        self.status = 201
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, self.headers["Content-Type"], body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def inbox(authority: trustme.CA) -> Iterator[Inbox]:
    server = Inbox(authority)
    yield server
    server.shutdown()
    server.server_close()


class Desk:
    """A reporter with a name server, a diary and a place where its mails go."""

    def __init__(self, directory: Path, authority: trustme.CA, zone: dict) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.reply = Reply(250, "queued", "2.0.0")
        self.diary = TlsDiary(directory)
        self.dns = DnsServer(zone)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        self.reporter = TlsReporter(
            self.diary,
            Resolver(["127.0.0.1"], port=self.dns.port, timeout=1.0, lifetime=1.0),
            self.send,
            Logger(INFO, write=lambda line: None),
            SENDER,
            lambda call, *args: call(*args),
            context,
        )

    def send(self, mail_from, rcpts, data: bytes) -> Reply:
        self.mails.append((mail_from.address, [rcpt.address for rcpt in rcpts], data))
        return self.reply


def test_reports_go_out_by_mail_and_https_once(tmp_path: Path, authority: trustme.CA, inbox: Inbox) -> None:
    port = inbox.server_address[1]
    zone = {
        "_smtp._tls.b.test": {
            "TXT": [f'"v=TLSRPTv1; rua=mailto:tls@b.test,https://localhost:{port}/in?k=1"']
        },
        "_smtp._tls.quiet.test": {"TXT": ['"something else"']},
    }
    desk = Desk(tmp_path, authority, zone)
    with desk.dns:
        desk.diary.write(DAY, tally(result(), result("quiet.test"), result("none.test")))
        desk.reporter.report_all(SENDER)
        assert list(desk.diary.days()) == []
    ((mail_from, rcpts, data),) = desk.mails
    assert (mail_from, rcpts) == ("tls@relay.test", ["tls@b.test"])
    assert b"Report Domain: b.test" in data
    ((path, kind, body),) = inbox.posts
    assert (path, kind) == ("/in?k=1", "application/tlsrpt+gzip")
    assert json.loads(gzip.decompress(body))["policies"][0]["policy"]["policy-domain"] == "b.test"


def test_what_could_not_be_sent_is_kept_for_some_days(
    tmp_path: Path, authority: trustme.CA, inbox: Inbox
) -> None:
    inbox.status = 500
    zone = {
        "_smtp._tls.b.test": {"TXT": [f'"v=TLSRPTv1; rua=https://localhost:{inbox.server_address[1]}/"']},
        "_smtp._tls.broken.test": SERVFAIL,
    }
    desk = Desk(tmp_path, authority, zone)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    with desk.dns:
        for day in (yesterday, DAY - timedelta(days=30)):
            desk.diary.write(day, tally(result(), result("broken.test"), result("none.test")))
        desk.reporter.report_all(SENDER)
    assert list(desk.diary.days()) == [yesterday]
    assert sorted(desk.diary.read(yesterday).domains) == ["b.test", "broken.test"]


def test_counting_survives_a_restart(tmp_path: Path, authority: trustme.CA) -> None:
    desk = Desk(tmp_path, authority, {})
    desk.reporter.collect(result())
    desk.reporter.save()
    again = Desk(tmp_path, authority, {})
    again.reporter.collect(result())
    again.reporter.save()
    today = datetime.now(UTC).date()
    (policy,) = desk.diary.read(today).policies("b.test").values()
    assert policy.successes == 2
    for each in (desk, again):
        each.dns.close()


def test_what_a_predecessor_counts_to_its_end_is_added(tmp_path: Path, authority: trustme.CA) -> None:
    """At a reload two processes count at the same time; the later one reads what is kept when the earlier one has ended."""
    before, after = Desk(tmp_path, authority, {}), Desk(tmp_path, authority, {})
    after.reporter.collect(result(failed="certificate-expired"))
    before.reporter.collect(result())
    before.reporter.collect(result(failed="certificate-expired"))
    before.reporter.save()
    after.reporter.collect(result())
    after.reporter.save()
    after.reporter.save()
    (policy,) = after.diary.read(datetime.now(UTC).date()).policies("b.test").values()
    assert (policy.successes, list(policy.failures.values())) == (2, [2])
    for each in (before, after):
        each.dns.close()


def test_nothing_is_counted_when_nothing_is_reported(tmp_path: Path, authority: trustme.CA) -> None:
    desk = Desk(tmp_path, authority, {})
    desk.reporter.sender = None
    desk.reporter.collect(result())
    desk.reporter.save()
    assert list(desk.diary.days()) == []
    desk.dns.close()
