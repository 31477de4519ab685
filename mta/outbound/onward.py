"""What the next hop is told of a mail besides its addresses, and by what name and address we come there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from mta.net.smtp_envelope import NO_PARAMS, NO_RCPT_PARAMS, Params
from mta.outbound.todo import Todo
from mta.smtp.address import Address

LONGEST = 999_999_999  # seconds in by-time (RFC 2852 4)


class Onward(NamedTuple):
    """Parameters of MAIL, and of RCPT for each recipient that has some, keys in upper case."""

    mail: Params
    rcpts: Mapping[Address, Params]


NOTHING = Onward(NO_PARAMS, NO_RCPT_PARAMS)


def onward(todo: Todo) -> Onward:
    """The parameters that the mail came with, with the time of BY that is left now."""
    if not todo.extra:
        return NOTHING
    mail = dict(todo.mail_params)
    if by := mail.get("BY"):
        mail["BY"] = time_left(by, _seconds_here(todo))
    rcpts = {rcpt: params for rcpt in todo.rcpt_to if (params := todo.rcpt_params(rcpt))}
    return Onward(mail, rcpts)


def time_left(by: str, seconds: int) -> str | None:
    """A by-value after so many seconds: `60;R` after 20 is `40;R`; None when it is no by-value."""
    time_given, semicolon, mode = by.partition(";")
    try:
        left = int(time_given) - seconds
    except ValueError:
        return None
    return f"{max(left, -LONGEST)}{semicolon}{mode}"


def _seconds_here(todo: Todo) -> int:
    return max(int(time.time() - todo.queue_time / 1000), 0)
