"""The part of a report that programs read: message/delivery-status (RFC 3464), message/global-delivery-status (RFC 6533)."""

from __future__ import annotations

import re
from email.message import Message

from mta.message.trace import date_to_str
from mta.net.ip import is_ip
from mta.outbound.bounce_mime import MAX_VALUE, POLICY, cut, field_value, verbatim_part
from mta.outbound.bounce_report import Kind, Report
from mta.outbound.bounce_text import one_line
from mta.outbound.outcome import DEFERRED, DELIVERED, NO_TIME, Outcome
from mta.smtp.address import Address
from mta.smtp.parameters import decode_xtext

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)  # RFC 3463 2


# Fields are not folded as long as they need not be: simple readers go by lines.
_POLICY = POLICY.clone(max_line_length=998)


def status_part(report: Report) -> Message:
    """One block about the message, then one for each recipient (RFC 3464 2.1)."""
    blocks = [_about(report), *(_block(rcpt, report) for rcpt in report.outcomes)]
    text = b"".join(map(bytes, blocks)).removesuffix(b"\r\n")
    kind = "message/global-delivery-status" if report.utf8 else "message/delivery-status"
    return verbatim_part(kind, text)


def status_of(outcome: Outcome) -> str:
    """The RFC 3463 status of a recipient: always there, always of the class that its fate asks for.

    A deferral that ran out of retries keeps its detail (4.2.0 becomes 5.2.0), or is 5.4.7, delivery time expired; one
    that ran out of time always is.
    """
    if outcome.expired == NO_TIME:
        return "5.4.7"
    enhanced = outcome.reply.enhanced or ""
    kind = {DELIVERED: "2", DEFERRED: "4"}.get(outcome.fate, "5")
    if _STATUS.fullmatch(enhanced):
        return kind + enhanced[1:]
    return "5.4.7" if outcome.expired else f"{kind}.0.0"


def action_of(kind: Kind, outcome: Outcome) -> str:
    """The Action field (RFC 3464 2.3.3): what is handed to a mailbox by LMTP is delivered, to anybody else relayed."""
    if kind is Kind.DELIVERED:
        return "delivered" if outcome.peer is not None and outcome.peer.mode == "LMTP" else "relayed"
    return "failed" if kind is Kind.FAILED else "delayed"


def diagnostic_of(outcome: Outcome, utf8: bool = False) -> str:
    """The reply as a Diagnostic-Code (RFC 3464 2.3.6), in ASCII unless utf8, and not too long."""
    text = one_line(str(outcome.reply))
    return "smtp; " + cut(text if utf8 else text.encode("ascii", "replace").decode("ascii"), MAX_VALUE)


def final_recipient(rcpt: Address, utf8: bool = False) -> str:
    """The recipient as RFC 3464 2.3.2 wants it; outside ASCII as utf-8-addr-xtext or utf-8-addr-unitext (RFC 6533 3)."""
    address = one_line(rcpt.address)
    if address.isascii():
        return f"rfc822; {address}"
    return f"utf-8; {address if utf8 else _embedded(address)}"


def original_recipient(orcpt: str, utf8: bool = False) -> str:
    """The value of ORCPT as a field (RFC 3464 2.3.1): the xtext is decoded, an address of RFC 6533 is not."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() == "utf-8":
        value = address if utf8 or address.isascii() else _embedded(address, keep="\\")
    else:
        value = _plain(address).encode("ascii", "replace").decode("ascii")
    return f"{one_line(kind)}; {one_line(value)}"


def _about(report: Report) -> Message:
    about = Message(policy=_POLICY)
    envelope_id = one_line(_plain(report.envelope_id))
    if envelope_id:
        about["Original-Envelope-Id"] = field_value(envelope_id, report.utf8)
    about["Reporting-MTA"] = f"dns; {report.me}"
    about["Arrival-Date"] = date_to_str(report.arrived)
    return about


def _block(rcpt: Address, report: Report) -> Message:
    outcome, utf8 = report.outcomes[rcpt], report.utf8
    block = Message(policy=_POLICY)
    if orcpt := report.named.get(rcpt):
        block["Original-Recipient"] = field_value(original_recipient(orcpt, utf8), utf8)
    block["Final-Recipient"] = field_value(final_recipient(rcpt, utf8), utf8)
    block["Action"] = action_of(report.kind, outcome)
    block["Status"] = status_of(outcome)
    if outcome.peer is not None and outcome.peer.host:
        host = one_line(outcome.peer.host)
        block["Remote-MTA"] = f"dns; [{host}]" if is_ip(host) else f"dns; {host}"
    block["Diagnostic-Code"] = field_value(diagnostic_of(outcome, utf8), utf8)
    block["Last-Attempt-Date"] = date_to_str(report.now)
    if report.kind is Kind.DELAYED and report.retry_until is not None:
        block["Will-Retry-Until"] = date_to_str(report.retry_until)
    return block


def _embedded(address: str, keep: str = "") -> str:
    """An address as utf-8-addr-xtext: what is not plain ASCII becomes EmbeddedUnicodeChar (RFC 6533 3)."""
    special = "+\\=".replace(keep, "") if keep else "+\\="
    return "".join(c if "!" <= c <= "~" and c not in special else f"\\x{{{ord(c):X}}}" for c in address)


def _plain(xtext: str) -> str:
    """What an xtext stands for; one that is none, as it stands."""
    try:
        return decode_xtext(xtext)
    except ValueError:
        return xtext
