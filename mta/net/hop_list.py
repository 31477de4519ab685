"""Lists of next hops as an operator writes them, and whose turn it is."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter

from mta.config.smarthost import parse_hosts
from mta.net.next_hop import NextHop, TlsPolicy


def read_pool(text: str, *, tls: TlsPolicy = "opportunistic") -> list[NextHop]:
    """The hosts of `a:25, b:25` as equals, of `a:25 10, b:25 20` by their priorities, the best first.

    Raises ValueError naming the host that is none.
    """
    split = (each.partition(" ") for each in parse_hosts(text))
    return by_priority(NextHop.parse(host, priority=int(number or 0), tls=tls) for host, _, number in split)


def by_priority(hops: Iterable[NextHop]) -> list[NextHop]:
    """The same hops, best first, equal ones in the order given."""
    return sorted(hops, key=attrgetter("priority"))


def taking_turns(hops: Sequence[NextHop]) -> list[NextHop]:
    """The same hops, already sorted by priority, those of one priority in random order."""
    if len(hops) < 2:
        return list(hops)
    groups = (list(group) for _, group in groupby(hops, attrgetter("priority")))
    return [hop for group in groups for hop in random.sample(group, len(group))]
