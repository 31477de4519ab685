"""What goes into a report: values only, no input or output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum

from mta.outbound.outcome import Outcome
from mta.record import record
from mta.smtp.address import Address

MAX_HEADER = 32 * 1024  # bytes of the original header that are sent back


class Kind(Enum):
    """What a report tells; the value is the word in log lines."""

    FAILED = "bounce"
    DELAYED = "delay warning"
    DELIVERED = "delivery report"


@record
class Templates:
    """The operator's words, as lines. text: header fields, an empty line, the body; html: that body as HTML, or nothing;
    image: a MIME part with its own header, or nothing.
    """

    text: Sequence[str] = ()
    html: Sequence[str] = ()
    image: Sequence[str] = ()


@record
class Original:
    """The message that a report is about, in SMTP form (dots stuffed): its header, and all of it if it is to go back whole."""

    header: bytes
    whole: bytes | None = None


@record
class Report:
    """What one report says.

    me: our host name. to: where it goes. sender: of the message, nearly always the same. outcomes: the recipients that it
    is about. arrived, now, retry_until: seconds since 1970. msgid: of the report, in angle brackets. pid: of this process,
    for the template. envelope_id: ENVID as the sender wrote it, in xtext. named: ORCPT of those recipients that had it.
    """

    kind: Kind
    me: str
    to: Address
    sender: Address
    outcomes: Mapping[Address, Outcome]
    original: Original
    arrived: float
    now: float
    msgid: str
    pid: int
    envelope_id: str = ""
    named: Mapping[Address, str] = field(default_factory=dict)
    retry_until: float | None = None

    @property
    def utf8(self) -> bool:
        """True when the report needs SMTPUTF8 to get where it goes, and so may be made for it (RFC 6533)."""
        return not self.to.address.isascii()
