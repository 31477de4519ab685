"""The part of a report that programs read: message/delivery-status (RFC 3464), message/global-delivery-status (RFC 6533)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message

from mta.message.trace import date_to_str
from mta.net.ip import is_ip
from mta.outbound.bounce_mime import MAX_VALUE, cut, field_value, verbatim_part
from mta.outbound.bounce_report import Kind, Report
from mta.outbound.bounce_text import one_line
from mta.outbound.outcome import DEFERRED, DELIVERED, NO_TIME, Outcome
from mta.smtp.address import Address
from mta.smtp.parameters import decode_xtext

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)  # RFC 3463 2


Fields = Iterator[tuple[str, str]]


def status_part(report: Report) -> Message:
    """One block about the message, then one for each recipient (RFC 3464 2.1)."""
    blocks = [_lines(_about(report), report.utf8)]
    blocks += [_lines(_block(rcpt, report), report.utf8) for rcpt in report.outcomes]
    kind = "message/global-delivery-status" if report.utf8 else "message/delivery-status"
    return verbatim_part(kind, "\r\n".join(blocks).encode("ascii", "surrogateescape"))


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


def _lines(fields: Fields, utf8: bool) -> str:
    """The fields, one line each: simple readers go by lines. The standard library would take a millisecond for four."""
    return "".join(f"{name}: {field_value(one_line(value), utf8)}\r\n" for name, value in fields)


def _about(report: Report) -> Fields:
    if report.envelope_id:
        yield "Original-Envelope-Id", _plain(report.envelope_id)
    yield "Reporting-MTA", f"dns; {report.me}"
    yield "Arrival-Date", date_to_str(report.arrived)


def _block(rcpt: Address, report: Report) -> Fields:
    outcome, utf8 = report.outcomes[rcpt], report.utf8
    if orcpt := report.named.get(rcpt):
        yield "Original-Recipient", original_recipient(orcpt, utf8)
    yield "Final-Recipient", final_recipient(rcpt, utf8)
    yield "Action", action_of(report.kind, outcome)
    yield "Status", status_of(outcome)
    if outcome.peer is not None and outcome.peer.host:
        host = outcome.peer.host
        yield "Remote-MTA", f"dns; [{host}]" if is_ip(host) else f"dns; {host}"
    yield "Diagnostic-Code", diagnostic_of(outcome, utf8)
    yield "Last-Attempt-Date", date_to_str(report.now)
    if report.kind is Kind.DELAYED and report.retry_until is not None:
        yield "Will-Retry-Until", date_to_str(report.retry_until)


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
