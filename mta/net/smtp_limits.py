"""What a peer says about how much it takes in one session and in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from mta.smtp.address import Address
from mta.smtp.reply import Reply

NO_LIMIT = 1 << 31

# limit-name-value = limit-name ["=" limit-value] (RFC 9422 3); these two have a number of up to six digits
_LIMIT = re.compile(r"(MAILMAX|RCPTMAX)=([1-9][0-9]{0,5})", re.IGNORECASE)

# RFC 5321 4.5.3.1.10: 452 is meant, and 552 was what RFC 821 said.
_TOO_MANY_CODES = (452, 552)


def limits(offered: Mapping[str, str]) -> tuple[int, int]:
    """The transactions in one session and the recipients in one transaction that a peer takes by its EHLO (RFC 9422)."""
    words = offered.get("LIMITS", "").split()
    found = {match[1].upper(): int(match[2]) for match in map(_LIMIT.fullmatch, words) if match}
    return found.get("MAILMAX", NO_LIMIT), found.get("RCPTMAX", NO_LIMIT)


def first(lines: Mapping[Address, str], count: int) -> dict[Address, str]:
    """The first so many of the recipients."""
    return dict(islice(lines.items(), count))


def too_many(replies: Mapping[Address, Reply]) -> Iterator[Address]:
    """Those who were one recipient too many, so that they may be named again as soon as the others have the message.

    None when nobody was accepted: then it is something else that is too much there.
    """
    if any(reply.kind == 2 for reply in replies.values()):
        yield from (rcpt for rcpt, reply in replies.items() if _is_too_many(reply))


def _is_too_many(reply: Reply) -> bool:
    if reply.code not in _TOO_MANY_CODES:
        return False
    if reply.enhanced is not None:
        return reply.enhanced[2:] == "5.3"  # RFC 3463 3.6: too many recipients
    return "too many recipients" in reply.text.lower()
