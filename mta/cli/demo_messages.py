"""The three messages of the demo, and their way through the relay."""

from __future__ import annotations

import re
import smtplib
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, make_msgid

from mta.cli.errors import CommandError

SENDER = "ann@example.com"
RECIPIENT = "bob@example.org"
SENDER_UTF8 = "käthe@exämple.com"
RECIPIENT_UTF8 = "用户@例子.example"


@dataclass(slots=True)
class Letter:
    """One message, and what the relay answered when it was handed over."""

    what: str
    message: EmailMessage
    reply: str = ""
    accepted: float = 0.0  # seconds since 1970

    @property
    def id(self) -> str:
        """Its Message-ID."""
        return str(self.message["Message-ID"])

    @property
    def uuid(self) -> str:
        """Under which the relay queued it: what to look for in its log."""
        found = re.search(r"\(([0-9A-F.-]+)\)", self.reply)
        return found[1] if found else "?"

    @property
    def code(self) -> str:
        """The code of the reply, 250 when the message is safe on disk."""
        return self.reply.split(" ", 1)[0]


def letters() -> list[Letter]:
    """A plain one, one with an attachment, one between UTF-8 addresses (RFC 6531)."""
    plain = _message(SENDER, RECIPIENT, "Plain text", "A line.\n.\n..a line that starts with dots\n")
    attached = _message(SENDER, RECIPIENT, "With an attachment", "The numbers are attached.\n")
    attached.add_attachment(bytes(range(256)) * 16, "application", "octet-stream", filename="numbers.bin")
    utf8 = _message(SENDER_UTF8, RECIPIENT_UTF8, "Grüße 问候", "Grüße von hier. 问候\n")
    return [
        Letter("plain text", plain),
        Letter("with an attachment", attached),
        Letter("UTF-8 addresses", utf8),
    ]


def send(letter: Letter, host: str, port: int) -> None:
    """Hand it to the relay by SMTP and note the reply. Raises CommandError when it is not taken."""
    try:
        with smtplib.SMTP(host, port, "demo.example", timeout=30) as smtp:
            smtp.ehlo()
            letter.reply = _transaction(smtp, letter.message)
            letter.accepted = time.time()
    except (smtplib.SMTPException, OSError) as error:
        raise CommandError(f"the relay did not take the message {letter.what!r}: {error}") from None


def _message(sender: str, recipient: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain="demo.example")
    message.set_content(text)
    return message


def _transaction(smtp: smtplib.SMTP, message: EmailMessage) -> str:
    """What smtplib's send_message does, but it would not tell the reply to the message."""
    utf8 = not str(message["From"]).isascii()
    content = message.as_bytes(policy=SMTPUTF8 if utf8 else SMTP)
    _expect(smtp.mail(message["From"], ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []))
    _expect(smtp.rcpt(message["To"]))
    return _expect(smtp.data(content))


def _expect(reply: tuple[int, bytes]) -> str:
    code, text = reply
    if code >= 300:
        raise smtplib.SMTPResponseException(code, text)
    return f"{code} {text.decode('utf-8', 'replace')}"
