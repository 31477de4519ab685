"""Makes the bounce for a failed delivery and puts it into the queue."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from mta.connection import new_uuid
from mta.message.header import split_header
from mta.message.trace import message_id
from mta.outbound.bounce import MAX_HEADER, Report, build
from mta.outbound.hmail import HMail
from mta.outbound.outcome import Outcome
from mta.outbound.spool_errors import SpoolError
from mta.smtp.address import NULL, Address
from mta.smtp.reply import Reply

Send = Callable[[Address, Sequence[Address], bytes], Reply]
ReadTemplate = Callable[[], Sequence[str]]


class Bouncer:
    """Calls for a bounce with send_bounce(hmail, failures); the reply is 250 when it is durable.

    template: gives the lines of outbound.bounce_message as they are now. send: submits a mail.
    """

    __slots__ = ("_me", "_send", "_template")

    def __init__(self, me: str, template: ReadTemplate, send: Send) -> None:
        self._me = me
        self._template = template
        self._send = send

    def send_bounce(self, hmail: HMail, failures: Mapping[Address, Outcome]) -> Reply:
        """Tell the sender which recipients failed and why, from the null reverse-path (RFC 5321 4.5.5)."""
        sender = hmail.todo.mail_from
        report = Report(
            me=self._me,
            to=sender,
            failures=failures,
            original=original_header(hmail),
            arrived=hmail.todo.queue_time / 1000,
            now=time.time(),
            msgid=message_id(new_uuid(), self._me),
            pid=os.getpid(),
        )
        return self._send(NULL, [sender], build(self._template(), report))


def original_header(hmail: HMail) -> bytes:
    """The header of the mail in SMTP form, as much of it as a bounce may carry; b"" when it can not be read."""
    data = b""
    try:
        for chunk in hmail.message.chunks():
            data += chunk
            if len(data) > MAX_HEADER or split_header(data, complete=False):
                break
    except (OSError, SpoolError) as error:
        hmail.logerror(f"cannot read the header of {hmail.filename} for a bounce: {error}")
    data = data[: 2 * MAX_HEADER]
    found = split_header(data, complete=True)
    return found[0] if found else b""
