"""A report about TLS as a mail (RFC 8460 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.encoders import encode_base64
from email.message import Message
from email.utils import format_datetime

from mta.outbound.tls_report import Sender, TlsReport, content

_POLICY = Message().policy.clone(linesep="\r\n")


def message(report: TlsReport, sender: Sender, mailboxes: Sequence[str], now: datetime) -> bytes:
    """The report as a mail (RFC 8460 5.3) with CRLF line ends, dots not stuffed."""
    mail = _part("multipart/report", report_type="tlsrpt")
    mail["From"] = sender.contact
    mail["To"] = ", ".join(mailboxes)
    mail["Subject"] = (
        f"Report Domain: {report.domain} Submitter: {sender.submitter} Report-ID: <{report.report_id}>"
    )
    mail["Date"] = format_datetime(now)
    mail["Message-Id"] = f"<{report.report_id}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["TLS-Report-Domain"] = report.domain
    mail["TLS-Report-Submitter"] = sender.submitter
    # Their TLS may be what is broken, and this is how they shall learn it (RFC 8689 5).
    mail["TLS-Required"] = "No"
    text = f"This is a report about TLS in mail sent to {report.domain} on {report.day:%Y-%m-%d}, from {sender.organisation}.\n"
    body = _part("text/plain")
    body.set_payload(text, "us-ascii" if text.isascii() else "utf-8")
    mail.attach(body)
    attachment = _part("application/tlsrpt+gzip")
    attachment.set_payload(content(report, sender))
    encode_base64(attachment)
    attachment.add_header("Content-Disposition", "attachment", filename=report.file_name(sender.submitter))
    mail.attach(attachment)
    return mail.as_bytes()


def _part(content_type: str, **params: str) -> Message:
    """An empty part, as email.mime has them, which is not loaded: see bounce_mime."""
    part = Message(policy=_POLICY)
    part.add_header("Content-Type", content_type, **params)
    part["MIME-Version"] = "1.0"
    return part
