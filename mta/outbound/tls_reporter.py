"""Gathers what comes of TLS, and once a day tells each domain that wants to know (RFC 8460)."""

from __future__ import annotations

import random
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mta.net.dns import LookupFailed, NotFound, Resolver
from mta.outbound.tls_diary import TlsDiary
from mta.outbound.tls_report import Sender, TlsReport, content, mailbox, targets
from mta.outbound.tls_tally import TlsTally
from mta.smtp.address import Address, AddressError

if TYPE_CHECKING:
    from mta.config.schema import TlsReportSettings
    from mta.logger import Logger
    from mta.outbound.tls_result import TlsResult
    from mta.smtp.reply import Reply

ORIGIN = "tls-rpt"
LOOK_SECONDS = 300.0  # between two looks at the clock; so much is lost by a crash
SPREAD_SECONDS = 4 * 3600  # RFC 8460 4.1: not everybody at midnight
HTTP_SECONDS = 30.0
AGAIN_SECONDS = 3600.0  # until what could not be sent is tried again
OLDEST_DAYS = 3  # of a report that could not be sent

Send = Callable[[Address, Sequence[Address], bytes], "Reply"]


class TlsReporter:
    """collect() takes results at any time; run() is a greenlet's work, until it is ended; save() keeps what is not on disk.

    sender: None collects and sends nothing, change it at any time. run_in_thread: calls what blocks on the disk.
    """

    def __init__(
        self,
        diary: TlsDiary,
        resolver: Resolver,
        send: Send,
        logger: Logger,
        sender: Sender | None,
        run_in_thread: Callable[..., object],
        context: ssl.SSLContext | None = None,
    ) -> None:
        """context: for https: addresses, by default with the system's authorities."""
        self.sender = sender
        self._diary = diary
        self._resolver = resolver
        self._send = send
        self._logger = logger
        self._run = run_in_thread
        self._context = context
        self._day = _today()
        self._tally = TlsTally()
        self._begun = False
        self._delay = random.uniform(0, SPREAD_SECONDS)

    def collect(self, result: TlsResult) -> None:
        """Count one result."""
        if self.sender is not None:
            self._turn_page()
            self._tally.add(result)

    def run(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Keep what was counted, and report what is over; never returns."""
        self._begin()
        while True:
            sleep(LOOK_SECONDS)
            try:
                self.save()
                if self.sender is not None and _seconds_of_day() >= self._delay:
                    self.report_all(self.sender)
                    self._delay = _seconds_of_day() + AGAIN_SECONDS
            except Exception as error:
                self._logger.error(f"cannot report: {type(error).__name__}: {error}", origin=ORIGIN)

    def save(self) -> None:
        """Write what was counted since the last time to disk."""
        self._begin()
        self._turn_page()
        if self._tally.changed:
            self._tally.changed = False
            self._keep(self._day, self._tally)

    def _begin(self) -> None:
        """Read what was kept of this day: not before, for another process may have been at it still."""
        if not self._begun:
            self._begun = True
            self._tally.include(self._diary.read(self._day))

    def report_all(self, sender: Sender) -> None:
        """Send the reports of every day that is over."""
        for day in list(self._diary.days()):
            if day >= _today():
                continue
            tally = self._diary.read(day)
            left = [domain for domain in tally.domains if not self._report(sender, day, domain, tally)]
            if left and day > _today() - timedelta(days=OLDEST_DAYS):
                self._keep(day, _only(tally, left))
            else:
                self._run(self._diary.remove, day)

    def _report(self, sender: Sender, day: date, domain: str, tally: TlsTally) -> bool:
        """True when nothing remains to be done: the report has gone, or nobody wants it."""
        try:
            uris = targets(self._resolver.lookup_txt(f"_smtp._tls.{domain}"))
        except NotFound:
            return True
        except LookupFailed:
            return False
        if not uris:
            return True
        report = TlsReport(domain, day, f"{uuid.uuid4()}@{sender.submitter}", tally.policies(domain))
        delivered = [self._mail(report, sender, uris), *(self._post(report, sender, uri) for uri in uris)]
        return any(delivered)

    def _mail(self, report: TlsReport, sender: Sender, uris: Sequence[str]) -> bool:
        rcpts = []
        for uri in uris:
            try:
                if box := mailbox(uri):
                    rcpts.append(Address.parse(box))
            except AddressError:
                self._logger.notice(
                    f"{report.domain} wants reports at {uri!r}, which is no address", origin=ORIGIN
                )
        if not rcpts:
            return False
        from mta.outbound.tls_report_mail import message  # once a day, and it brings the package email

        data = message(report, sender, [rcpt.address for rcpt in rcpts], datetime.now(UTC))
        reply = self._send(Address.parse(sender.contact), rcpts, data)
        self._tell(report, ", ".join(map(str, rcpts)), str(reply))
        return reply.kind == 2

    def _post(self, report: TlsReport, sender: Sender, uri: str) -> bool:
        """RFC 8460 5.4; a redirect is not followed."""
        from http.client import HTTPException, HTTPSConnection  # once a day, and not before the banner

        parts = urlsplit(uri)
        if parts.scheme != "https":
            return False
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection = HTTPSConnection(
                parts.hostname or "", parts.port, timeout=HTTP_SECONDS, context=self._context
            )
            try:
                connection.request(
                    "POST", target, content(report, sender), {"Content-Type": "application/tlsrpt+gzip"}
                )
                status = connection.getresponse().status
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            self._tell(report, uri, f"failed: {error}")
            return False
        self._tell(report, uri, f"HTTP status {status}")
        return 200 <= status < 300

    def _tell(self, report: TlsReport, target: str, result: str) -> None:
        fields = {"domain": report.domain, "day": report.day.isoformat(), "to": target, "result": result}
        self._logger.info("report", fields, origin=ORIGIN)

    def _turn_page(self) -> None:
        today = _today()
        if today != self._day:
            self._begin()
            day, tally = self._day, self._tally
            self._day, self._tally = today, TlsTally()
            self._delay = random.uniform(0, SPREAD_SECONDS)
            if len(tally):
                self._keep(day, tally)

    def _keep(self, day: date, tally: TlsTally) -> None:
        try:
            self._run(self._diary.write, day, tally)
        except OSError as error:
            self._logger.error(f"cannot keep TLS results of {day}: {error}", origin=ORIGIN)


def sender_of(settings: TlsReportSettings, me: str) -> Sender | None:
    """Who reports, by outbound.ini [tls_rpt]; None when nobody does. me: the name of this server."""
    if not settings.report:
        return None
    return Sender(settings.organization or me, me, settings.contact or f"postmaster@{me}")


def _only(tally: TlsTally, domains: Sequence[str]) -> TlsTally:
    tree = tally.to_json()
    return TlsTally.from_json({domain: tree[domain] for domain in domains})


def _today() -> date:
    return datetime.now(UTC).date()


def _seconds_of_day() -> float:
    now = datetime.now(UTC)
    return now.hour * 3600.0 + now.minute * 60 + now.second
