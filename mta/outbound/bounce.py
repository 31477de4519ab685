"""The message that tells a sender what became of his mail: RFC 3461 to 3464, RFC 6533, multipart/report.

Pure: values in, bytes out. The words come from the operator's templates, the structure from the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.message import Message

from mta.message.header import Header
from mta.message.trace import date_to_str
from mta.outbound.bounce_body import notification
from mta.outbound.bounce_mime import MAX_VALUE, field_value, inner, multipart
from mta.outbound.bounce_original import original_part
from mta.outbound.bounce_report import Kind, Report, Templates
from mta.outbound.bounce_status import status_part
from mta.outbound.bounce_text import header_fields, one_line, split_template
from mta.outbound.outcome import Outcome
from mta.smtp.address import Address

_TEMPLATE_OWNS_NOT = frozenset({"content-type", "content-transfer-encoding", "mime-version"})


def build(templates: Templates, report: Report) -> bytes:
    """The report as bytes with CRLF line ends, dots not stuffed.

    What RFC 3464 and RFC 3834 ask for is added where the template says nothing about it.
    """
    original = Header(report.original.header)
    values = variables(report, original)
    header_lines, _ = split_template(templates.text)
    unique = _unique(report)
    message = multipart(
        "report",
        f"report_{unique}",
        inner(notification(templates, values, unique), "Notification"),
        inner(status_part(report), "Delivery report"),
        original_part(report.original, report.utf8),
        report_type="delivery-status",
    )
    _set_header(message, header_fields(header_lines, values), report, original)
    if any(part["Content-Transfer-Encoding"] == "8bit" for part in message.walk()):
        message["Content-Transfer-Encoding"] = "8bit"  # RFC 2045 6.4: what is around such a part is so too
    message.preamble = "This is a MIME-encapsulated message."
    return message.as_bytes()


def variables(report: Report, original: Header) -> dict[str, str]:
    """What a template may name: date me from to subject recipients reason extended_reason pid msgid retry_until."""
    return {
        "date": date_to_str(report.now),
        "me": report.me,
        "from": report.sender.address,
        "to": report.to.address,
        "subject": one_line(original.get_decoded("Subject")),
        "recipients": ", ".join(str(rcpt) for rcpt in report.outcomes),
        "reason": _reason(report.outcomes),
        "extended_reason": "\n".join(
            f"{rcpt}: {one_line(why.reason)}" for rcpt, why in report.outcomes.items()
        ),
        "pid": str(report.pid),
        "msgid": report.msgid,
        "retry_until": "" if report.retry_until is None else date_to_str(report.retry_until),
    }


def _reason(outcomes: Mapping[Address, Outcome]) -> str:
    """One reason when all recipients share it; the reasons one by one are in extended_reason."""
    reasons = list(dict.fromkeys(one_line(_words(outcome)) for outcome in outcomes.values()))
    return reasons[0] if len(reasons) == 1 else "; ".join(reasons[:3])


def _words(outcome: Outcome) -> str:
    return outcome.reason if outcome.expired else outcome.reply.text


def _unique(report: Report) -> str:
    """As unique as the message id, so that nothing in the original can look like a boundary."""
    return re.sub(r"[^A-Za-z0-9-]", "_", report.msgid.strip("<>"))[:50]


def _set_header(
    message: Message, fields: Sequence[tuple[str, str]], report: Report, original: Header
) -> None:
    """The template's fields first, then what it left out; MIME fields are ours alone."""
    given = {name.lower() for name, _ in fields}
    body = message.items()  # what the MIME class has set: Content-Type and MIME-Version
    for name, _ in body:
        del message[name]
    for name, value in [*fields, *(pair for pair in _defaults(report) if pair[0].lower() not in given)]:
        if name.lower() not in _TEMPLATE_OWNS_NOT:
            message[name] = field_value(value, report.utf8)
    msgid = one_line(original.get("Message-Id"))
    if msgid and "references" not in given:
        message["References"] = field_value(msgid[:MAX_VALUE], report.utf8)
    for name, value in body:
        message[name] = value


def _defaults(report: Report) -> list[tuple[str, str]]:
    return [
        ("From", f"MAILER-DAEMON@{report.me}"),
        ("To", report.to.address),
        ("Subject", "failure notice" if report.kind is Kind.FAILED else report.kind.value),
        ("Date", date_to_str(report.now)),
        ("Message-Id", report.msgid),
        ("Auto-Submitted", "auto-replied"),  # RFC 3834 5
    ]
