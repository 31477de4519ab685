"""The message that tells a sender what became of his mail: RFC 3461 to 3464, multipart/report.

Pure: values in, bytes out. The words come from the operator's template, the structure from the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email import policy
from email.charset import QP, Charset
from email.header import Header as EncodedWords
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

from mta.message.header import Header
from mta.message.trace import date_to_str
from mta.net.ip import is_ip
from mta.outbound.bounce_text import fill, header_fields, one_line, split_template
from mta.outbound.outcome import Outcome
from mta.smtp.address import Address

MAX_HEADER = 32 * 1024  # bytes of the original header that are sent back
MAX_LINE = 990  # characters; RFC 5322 2.1.1 allows 998
MAX_DIAGNOSTIC = 900  # characters of one reply, which becomes one line

_TEMPLATE_OWNS_NOT = frozenset({"content-type", "content-transfer-encoding", "mime-version"})
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)  # RFC 3463 2

_POLICY = policy.compat32.clone(linesep="\r\n", cte_type="8bit", mangle_from_=False)
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP


@dataclass(frozen=True, slots=True)
class Report:
    """What one bounce says.

    me: our host name. to: the original sender. original: the header of the message, in SMTP form (dots stuffed).
    arrived, now: seconds since 1970. msgid: of the bounce, in angle brackets. pid: of this process, for the template.
    """

    me: str
    to: Address
    failures: Mapping[Address, Outcome]
    original: bytes
    arrived: float
    now: float
    msgid: str
    pid: int


def build(template: Sequence[str], report: Report) -> bytes:
    """The bounce as bytes with CRLF line ends, dots not stuffed.

    template: the lines of outbound.bounce_message: header fields, an empty line, the text. What RFC 3464 and RFC 3834
    ask for is added where the template says nothing about it.
    """
    original = Header(report.original)
    values = variables(report, original)
    header_lines, text_lines = split_template(template)
    message = MIMEMultipart(
        "report", boundary=_boundary(report), policy=_POLICY, report_type="delivery-status"
    )
    _set_header(message, header_fields(header_lines, values), report, original)
    text = "\n".join(fill(line, values) for line in text_lines) + "\n"
    message.preamble = "This is a MIME-encapsulated message."
    message.attach(_described("Notification", _text_part(text, "plain")))
    message.attach(_described("Delivery report", _status_part(report)))
    message.attach(_described("Undelivered Message Headers", _headers_part(report.original)))
    return message.as_bytes()


def variables(report: Report, original: Header) -> dict[str, str]:
    """What a template may name: date me from to subject recipients reason extended_reason pid msgid."""
    return {
        "date": date_to_str(report.now),
        "me": report.me,
        "from": report.to.address,
        "to": report.to.address,
        "subject": one_line(original.get_decoded("Subject")),
        "recipients": ", ".join(str(rcpt) for rcpt in report.failures),
        "reason": _reason(report.failures),
        "extended_reason": "\n".join(
            f"{rcpt}: {one_line(why.reason)}" for rcpt, why in report.failures.items()
        ),
        "pid": str(report.pid),
        "msgid": report.msgid,
    }


def status_of(outcome: Outcome) -> str:
    """The RFC 3463 status of a failed recipient: always there, always of class 5.

    A deferral that ran out of retries keeps its detail (4.2.0 becomes 5.2.0), or is 5.4.7, delivery time expired.
    """
    enhanced = outcome.reply.enhanced or ""
    if _STATUS.fullmatch(enhanced):
        return "5" + enhanced[1:]
    return "5.4.7" if outcome.expired else "5.0.0"


def diagnostic_of(outcome: Outcome) -> str:
    """The reply as a Diagnostic-Code (RFC 3464 2.3.6), in ASCII and not too long."""
    text = one_line(str(outcome.reply))
    if len(text) > MAX_DIAGNOSTIC:
        text = text[:MAX_DIAGNOSTIC] + "..."
    return "smtp; " + text.encode("ascii", "replace").decode("ascii")


def final_recipient(rcpt: Address) -> str:
    """The recipient as RFC 3464 2.3.2 wants it; outside ASCII as utf-8-addr-xtext (RFC 6533 3)."""
    address = one_line(rcpt.address)
    if address.isascii():
        return f"rfc822; {address}"
    return "utf-8; " + "".join(
        c if "!" <= c <= "~" and c not in "+\\=" else f"\\x{{{ord(c):X}}}" for c in address
    )


def _reason(failures: Mapping[Address, Outcome]) -> str:
    """One reason when all recipients share it; the reasons one by one are in extended_reason."""
    reasons = list(dict.fromkeys(one_line(_words(outcome)) for outcome in failures.values()))
    return reasons[0] if len(reasons) == 1 else "; ".join(reasons[:3])


def _words(outcome: Outcome) -> str:
    return outcome.reason if outcome.expired else outcome.reply.text


def _boundary(report: Report) -> str:
    """As unique as the message id, so that nothing in the original header can look like it."""
    return "report_" + re.sub(r"[^A-Za-z0-9-]", "_", report.msgid.strip("<>"))[:60]


def _set_header(
    message: Message, fields: Sequence[tuple[str, str]], report: Report, original: Header
) -> None:
    """The template's fields first, then what it left out; MIME fields are ours alone."""
    given = {name.lower() for name, _ in fields}
    utf8 = not report.to.address.isascii()  # then the bounce needs SMTPUTF8 to travel at all
    body = message.items()  # what the MIME class has set: Content-Type and MIME-Version
    for name, _ in body:
        del message[name]
    for name, value in [*fields, *(pair for pair in _defaults(report) if pair[0].lower() not in given)]:
        if name.lower() not in _TEMPLATE_OWNS_NOT:
            message[name] = _encoded(value, utf8)
    msgid = one_line(original.get("Message-Id"))
    if msgid and "references" not in given:
        message["References"] = _encoded(msgid[:MAX_DIAGNOSTIC], utf8)
    for name, value in body:
        message[name] = value


def _defaults(report: Report) -> list[tuple[str, str]]:
    return [
        ("From", f"MAILER-DAEMON@{report.me}"),
        ("To", report.to.address),
        ("Subject", "failure notice"),
        ("Date", date_to_str(report.now)),
        ("Message-Id", report.msgid),
        ("Auto-Submitted", "auto-replied"),  # RFC 3834 5
    ]


def _encoded(value: str, utf8: bool) -> str:
    """A field value for the generator: ASCII as it is, else raw UTF-8 (RFC 6532) or encoded words (RFC 2047)."""
    if value.isascii():
        return value
    if utf8:
        return value.encode("utf-8", "replace").decode("ascii", "surrogateescape")
    return EncodedWords(value.encode("utf-8", "replace").decode("utf-8"), "utf-8").encode(linesep="\r\n")


def _text_part(text: str, subtype: str) -> Message:
    """A text part whose lines may travel anywhere: as it is when that is 7 bit, else quoted-printable."""
    part = MIMEText("", subtype, "us-ascii", policy=_POLICY)
    if text.isascii() and all(len(line) < MAX_LINE for line in text.split("\n")):
        part.set_payload(text)
    else:
        del part["Content-Transfer-Encoding"]  # or the one for 7 bit would be kept
        part.set_payload(text.encode("utf-8", "replace").decode("utf-8"), _UTF8)
    return part


def _described(description: str, part: Message) -> Message:
    part["Content-Description"] = description
    del part["MIME-Version"]
    return part


def _status_part(report: Report) -> Message:
    """message/delivery-status: one block about the message, then one for each recipient (RFC 3464 2.1)."""
    about = Message(policy=_POLICY)
    about["Reporting-MTA"] = f"dns; {report.me}"
    about["Arrival-Date"] = date_to_str(report.arrived)
    part = Message(policy=_POLICY)
    part["Content-Type"] = "message/delivery-status"
    part.set_payload(
        [about, *(_block(rcpt, outcome, report.now) for rcpt, outcome in report.failures.items())]
    )
    return part


def _block(rcpt: Address, outcome: Outcome, now: float) -> Message:
    block = Message(policy=_POLICY)
    block["Final-Recipient"] = final_recipient(rcpt)
    block["Action"] = "failed"
    block["Status"] = status_of(outcome)
    if outcome.peer is not None and outcome.peer.host:
        host = one_line(outcome.peer.host)
        block["Remote-MTA"] = f"dns; [{host}]" if is_ip(host) else f"dns; {host}"
    block["Diagnostic-Code"] = diagnostic_of(outcome)
    block["Last-Attempt-Date"] = date_to_str(now)
    return block


def _headers_part(original: bytes) -> Message:
    """text/rfc822-headers (RFC 6522 4), cut at a line end when it is long."""
    if len(original) > MAX_HEADER:
        original = original[: original.rfind(b"\n", 0, MAX_HEADER) + 1]
    lines = (b"\n" + original.replace(b"\r\n", b"\n")).replace(b"\n.", b"\n")[1:]
    return _text_part(lines.decode("utf-8", "replace"), "rfc822-headers")
