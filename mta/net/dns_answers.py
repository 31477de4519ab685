"""What comes of a question to the DNS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What the DNS said. secure: the name server has validated all of it (RFC 4035 3.2.3); name: at the end of CNAMEs."""

    records: Sequence[Any]
    secure: bool
    name: str


class LookupFailed(Exception):
    """No answer that could be used; the message is one line for the log and the operator."""


class NotFound(LookupFailed):
    """The name does not exist, or is none: asking again will not help."""


class Tempfail(LookupFailed):
    """Timeout, SERVFAIL, REFUSED, a reply that makes no sense: ask again later."""
