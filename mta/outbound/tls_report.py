"""Daily reports about TLS to those who ask for them (RFC 8460): where they go, and what they look like. Pure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from mta.outbound.tls_tally import Policy, PolicyTally
from mta.record import record

VERSION = "v=TLSRPTv1"
MAX_TARGETS = 4  # of one domain; more would make us their megaphone


@record
class Sender:
    """Who reports. submitter: our host name; contact: an address for questions."""

    organisation: str
    submitter: str
    contact: str


@record
class TlsReport:
    """What one domain is told about one day. report_id: unique, without brackets."""

    domain: str
    day: date
    report_id: str
    policies: Mapping[Policy, PolicyTally]

    @property
    def begin(self) -> datetime:
        """Midnight at which the day began, UTC."""
        return datetime.combine(self.day, time(), UTC)

    @property
    def end(self) -> datetime:
        """Its last second."""
        return self.begin + timedelta(days=1, seconds=-1)

    def file_name(self, submitter: str) -> str:
        """The name of the attachment (RFC 8460 5.1)."""
        begin, end = int(self.begin.timestamp()), int(self.end.timestamp())
        return f"{submitter}!{self.domain}!{begin}!{end}!{self.report_id.partition('@')[0]}.json.gz"


def targets(records: Sequence[str]) -> list[str]:
    """The mailto: and https: addresses that a domain wants reports at, from its TXT records at _smtp._tls (RFC 8460 3).

    None when there is no such record, or more than one.
    """
    wanted = [record for record in records if record.partition(";")[0].strip() == VERSION]
    if len(wanted) != 1:
        return []
    for tag in wanted[0].split(";")[1:]:
        name, _, value = tag.partition("=")
        if name.strip() == "rua":
            found = [uri.strip() for uri in value.split(",")]
            return [uri for uri in found if _is_target(uri)][:MAX_TARGETS]
    return []


def mailbox(uri: str) -> str | None:
    """The address of a mailto: URI; None for another kind."""
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "mailto" else None


def _is_target(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return uri.isprintable() and (
            (parts.scheme == "mailto" and "@" in parts.path)
            or (parts.scheme == "https" and bool(parts.hostname))
        )
    except ValueError:
        return False


def content(report: TlsReport, sender: Sender) -> bytes:
    """The report as compressed JSON (RFC 8460 4.4)."""
    tree = {
        "organization-name": sender.organisation,
        "date-range": {"start-datetime": _stamp(report.begin), "end-datetime": _stamp(report.end)},
        "contact-info": sender.contact,
        "report-id": report.report_id,
        "policies": [_policy(each, tally) for each, tally in report.policies.items()],
    }
    return gzip.compress(json.dumps(tree, indent=1).encode(), mtime=0)


def _policy(each: Policy, tally: PolicyTally) -> dict[str, Any]:
    kind, strings, domain, patterns = each
    about: dict[str, Any] = {"policy-type": kind, "policy-domain": domain}
    if strings:
        about["policy-string"] = list(strings)
    if patterns:
        about["mx-host"] = list(patterns)
    entry: dict[str, Any] = {
        "policy": about,
        "summary": {
            "total-successful-session-count": tally.successes,
            "total-failure-session-count": sum(tally.failures.values()),
        },
    }
    if tally.failures:
        entry["failure-details"] = [_failure(*failure, count) for failure, count in tally.failures.items()]
    return entry


def _failure(kind: str, host: str, ip: str, reason: str, count: int) -> dict[str, Any]:
    details = {
        "result-type": kind,
        "receiving-mx-hostname": host,
        "receiving-ip": ip,
        "failed-session-count": count,
        "failure-reason-code": reason,
    }
    return {key: value for key, value in details.items() if value != ""}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
