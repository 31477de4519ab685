"""What settling has counted since the start, for statistics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Plain numbers that only grow.

    delivered, deferred, failed: recipients, by what an attempt came to (one that is put off three times counts three
    times). bounced: failed recipients whose sender was sent a bounce. expired: failed ones that had run out of retries or
    time. double_bounces: failed recipients of mails from the null sender. reports_sent: reports put into the queue, of any
    kind. possible_duplicates: recipients that may get a mail twice.
    """

    delivered: int = 0
    deferred: int = 0
    failed: int = 0
    bounced: int = 0
    expired: int = 0
    double_bounces: int = 0
    reports_sent: int = 0
    possible_duplicates: int = 0
