"""Makes the reports about a mail and puts them into the queue."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from mta.config.schema import OutboundSettings
from mta.connection import new_uuid
from mta.message.header import split_header
from mta.message.trace import message_id
from mta.outbound.bounce_report import MAX_HEADER, Kind, Original, Report, Templates
from mta.outbound.hmail import HMail
from mta.outbound.outcome import Outcome
from mta.outbound.spool_errors import SpoolError
from mta.outbound.todo import Todo
from mta.smtp.address import NULL, Address
from mta.smtp.reply import Reply

Send = Callable[[Address, Sequence[Address], bytes, HMail], Reply]
ReadTemplate = Callable[[str], Sequence[str]]

_TEXTS = {
    Kind.FAILED: "outbound.bounce_message",
    Kind.DELAYED: "outbound.delay_message",
    Kind.DELIVERED: "outbound.delivered_message",
}


class Bouncer:
    """Calls for a report with send_report(); the reply is 250 when it is durable.

    read_template: gives the lines of a file such as outbound.bounce_message as they are now. send: submits a mail, told the one that it is about.
    `settings` may be changed at any time.
    """

    __slots__ = ("_me", "_read_template", "_send", "settings")

    def __init__(
        self, me: str, read_template: ReadTemplate, send: Send, settings: OutboundSettings | None = None
    ) -> None:
        self._me = me
        self._read_template = read_template
        self._send = send
        self.settings = settings or OutboundSettings()

    def send_report(
        self,
        kind: Kind,
        hmail: HMail,
        outcomes: Mapping[Address, Outcome],
        to: Address,
        retry_until: float | None = None,
    ) -> Reply:
        """Tell `to` what became of these recipients, from the null reverse-path (RFC 5321 4.5.5).

        retry_until: when delivery will be given up, seconds since 1970, for a delay warning.
        """
        from mta.outbound.bounce import build  # it brings the package email: no banner waits for that

        todo = hmail.todo
        report = Report(
            kind=kind,
            me=self._me,
            to=to,
            sender=todo.mail_from,
            outcomes=outcomes,
            original=original_of(hmail, self._full_max(kind, todo)),
            arrived=todo.queue_time / 1000,
            now=time.time(),
            msgid=message_id(new_uuid(), self._me),
            pid=os.getpid(),
            envelope_id=todo.mail_params.get("ENVID") or "",
            named={rcpt: orcpt for rcpt in outcomes if (orcpt := todo.rcpt_params(rcpt).get("ORCPT"))},
            retry_until=retry_until,
        )
        return self._send(NULL, [to], build(self._templates(kind), report), hmail)

    def _full_max(self, kind: Kind, todo: Todo) -> int:
        """RET is about failures only: other reports have the header, or less (RFC 3461 4.3)."""
        full = (todo.mail_params.get("RET") or "").upper() == "FULL"
        return self.settings.reports.full_max if full and kind is Kind.FAILED else 0

    def prepare(self) -> None:
        """Read the files that reports are made of; who gives them knows them from then on."""
        for kind in Kind:
            self._templates(kind)

    def _templates(self, kind: Kind) -> Templates:
        read = self._read_template
        if kind is not Kind.FAILED:
            return Templates(read(_TEXTS[kind]))
        return Templates(
            read(_TEXTS[kind]), read("outbound.bounce_message_html"), read("outbound.bounce_message_image")
        )


def original_of(hmail: HMail, full_max: int) -> Original:
    """What a report may give back of a mail: all of it up to so many bytes, else its header or the beginning of that.

    Nothing when the mail can not be read.
    """
    wanted = full_max if hmail.message.size <= full_max else 0
    data = b""
    try:
        for chunk in hmail.message.chunks():
            data += chunk
            if not wanted and (len(data) > MAX_HEADER or split_header(data, complete=False)):
                break
    except (OSError, SpoolError) as error:
        hmail.logerror(f"cannot read {hmail.filename} for a report: {error}")
        wanted = 0
    found = split_header(data if wanted else data[: 2 * MAX_HEADER], complete=True)
    return Original(found[0] if found else b"", data if wanted else None)
